package portbook

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/monban-dev/monban"
)

func port(t testing.TB, s string) monban.Port {
	t.Helper()
	p, err := monban.ParsePort(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCollisions lists the numbers where several applications are known to
// meet, each with some that must be named there.
func TestCollisions(t *testing.T) {
	for _, tt := range []struct {
		port string
		uses string // separated by ";"
	}{
		{"22", "SSH;Gitea SSH"},
		{"53", "systemd-resolved;dnsmasq;BIND;Pi-hole;AdGuard Home;Internet Connection Sharing"},
		{"67/udp", "DHCP server"}, {"68/udp", "DHCP client"},
		{"80", "Apache HTTP Server;nginx;IIS and http.sys;Skype (before 8);Traefik;Caddy;DDEV router"},
		{"443", "HTTPS;HTTP/3;portless;Skype (before 8);SSL VPN gateways"},
		{"445", "SMB"}, {"139", "SMB over NetBIOS"},
		{"808", "Net.Tcp port sharing"}, {"843", "Flash socket policy"},
		{"1900/udp", "SSDP"},
		{"2375", "Docker API"}, {"2376", "Docker API"}, {"2377", "Docker Swarm"},
		{"2379", "etcd;KGS Go server"},
		{"3000", "Node.js development servers;Grafana;Ruby on Rails;Gitea;AdGuard Home set-up;Meteor"},
		{"3001", "Second development server;Honeywell ProWatch"},
		{"3080", "Sourcegraph Cody app"},
		{"3128", "Squid"},
		{"3306", "MySQL;MariaDB"},
		{"3333", "OpenOCD;Eggdrop;CruiseControl.rb"},
		{"3478", "STUN and TURN;UniFi;Agent DVR"},
		{"4000", "Jekyll;Phoenix;NoMachine;Diablo II"},
		{"4001", "IPFS swarm;etcd (before 2.0)"},
		{"4045", "NFS lock manager"},
		{"4200", "Angular"},
		{"4243", "Docker API (old);CrashPlan"},
		{"4444", "Selenium;Metasploit;I2P proxy;OpenOCD telnet"},
		{"4505", "Salt master"}, {"4506", "Salt master"},
		{"5000", "AirPlay Receiver;Flask;Docker registry;Synology DSM;ASP.NET Core;League of Legends"},
		{"5001", "IPFS RPC API;iperf;Synology DSM (TLS);3CX;ASP.NET Core (TLS)"},
		{"5040", "Connected Devices Platform"},
		{"5050/udp", "Connected Devices Platform"},
		{"5173", "Vite"}, {"5174", "Vite"},
		{"5353/udp", "mDNS"},
		{"5357", "Web Services for Devices"},
		{"5432", "PostgreSQL;Cloud SQL Auth Proxy"},
		{"5601", "Kibana"},
		{"5985", "WinRM"}, {"47001", "WinRM"},
		{"6000", "X11"},
		{"6006", "TensorBoard;Storybook;X11"},
		{"6379", "Redis;Valkey"},
		{"6443", "Kubernetes API"},
		{"6463", "Discord RPC"}, {"6472", "Discord RPC"}, {"6464", "Medical devices;Discord RPC"},
		{"6600", "Music Player Daemon;Hyper-V live migration"},
		{"6665", "IRC"}, {"6669", "IRC"},
		{"6881", "BitTorrent"}, {"6999", "BitTorrent"}, {"6969", "BitTorrent tracker;BitTorrent"}, {"6980/udp", "VBAN;BitTorrent"},
		{"7000", "AirPlay Receiver;Cassandra cluster"},
		{"7001", "WebLogic;Avira server management"}, {"7002", "WebLogic (TLS);Avira server management"},
		{"7070", "RTSP and QuickTime"},
		{"7680", "Delivery Optimization"},
		{"7777", "Game servers;OCFS2;iChat proxy"},
		{"8000", "Django;Python http.server;Uvicorn and FastAPI;Laravel and PHP;DynamoDB Local;Icecast and SHOUTcast;Deno;Gatsby;Splunk web"},
		{"8005", "Tomcat shutdown;SCCM and PLATO"},
		{"8006", "Proxmox VE;AppAssure"}, {"8007", "Proxmox Backup Server;AppAssure"},
		{"8008", "Matrix Synapse;Chromecast;HTTP alternative"},
		{"8009", "Tomcat AJP;Chromecast"},
		{"8025", "Mailpit and MailHog"}, {"8026", "Mailpit (DDEV)"},
		{"8080", "Tomcat;Jenkins;Spring Boot;IPFS gateway;UniFi inform;Domoticz and deCONZ;ZooKeeper admin server;cAdvisor;Oracle XDB;Mirth Connect;Traefik dashboard;Webpack dev server"},
		{"8081", "React Native Metro;McAfee agent;Nexus Repository;Sick Beard and Medusa"},
		{"8086", "InfluxDB"},
		{"8088", "Hadoop YARN;Splunk HEC;ksqlDB and others"},
		{"8089", "Splunk management;FRITZ!Box TR-069"},
		{"8090", "Confluence;Matrix identity server"},
		{"8096", "Jellyfin;Emby"},
		{"8123", "Home Assistant;ClickHouse"},
		{"8142", "DDEV XHGui"},
		{"8181", "GlassFish (TLS);FRITZ!Box services;NexusM"}, {"8186", "FRITZ!Box services"},
		{"8200", "MiniDLNA;GoToMyPC;Elastic APM;Vault"},
		{"8333", "Bitcoin;VMware VI web access"},
		{"8384", "Syncthing"},
		{"8443", "UniFi;HTTPS alternative;Plesk"},
		{"8500", "ColdFusion;Consul"}, {"8501", "Streamlit;Consul (TLS)"},
		{"8787", "Wrangler;RStudio Server"},
		{"8880", "WebSphere SOAP;CDDB;UniFi guest portal"},
		{"8888", "Jupyter;MAMP;Freenet and others"},
		{"9000", "PHP-FPM;Xdebug 2 and PhpStorm;SonarQube;MinIO;Portainer;ClickHouse;Hadoop NameNode;Play Framework;Logitech Media Server;qBittorrent tracker"},
		{"9001", "Tor;MinIO console;HSQLDB;DBGp proxy"},
		{"9042", "Cassandra"},
		{"9080", "WebSphere;Groove"},
		{"9090", "Prometheus;Cockpit;Cherokee administration;Openfire administration;Logitech Media Server CLI;APISIX control"},
		{"9091", "Transmission;Openfire administration (TLS);Prometheus Pushgateway"},
		{"9092", "Kafka;H2 Database"},
		{"9100", "node_exporter;Printers (JetDirect)"},
		{"9101", "Bacula and Bareos;Prometheus exporters"}, {"9103", "Bacula and Bareos"},
		{"9200", "Elasticsearch;OpenSearch"}, {"9300", "Elasticsearch cluster;IBM Cognos"},
		{"9229", "Node.js inspector"},
		{"9443", "Portainer;vCenter"},
		{"9999", "Various tools"},
		{"10000", "Webmin;NDMP and Backup Exec;Azurite;Jitsi Videobridge"},
		{"10001/udp", "UniFi discovery"},
		{"11434", "Ollama"},
		{"12001", "NoMachine"},
		{"16450", "SQL Server PolyBase"}, {"16460", "SQL Server PolyBase"},
		{"17500", "Dropbox"}, {"17600", "Dropbox"},
		{"27017", "MongoDB"},
		{"30027", "TrueNAS applications"},
		{"32400", "Plex"}, {"32767", "Kubernetes NodePort"},
		{"33000", "DDEV fallback"},
		{"33418", "MCP sign-in"}, {"33441", "MCP sign-in"},
		{"43110", "ZeroNet"},
		{"49000", "Portainer and Sourcegraph Cody"},
		{"49152", "Dynamic range"}, {"65535", "Dynamic range"},
		{"50000", "Jenkins agents;Db2;SAP NetWeaver"}, {"54321", "Various tools"}, {"55555", "Various tools"},
		{"63342", "JetBrains built-in server"},
		// What the registry does not have at all.
		{"15672", "RabbitMQ management"}, {"25565", "Minecraft"}, {"51820/udp", "WireGuard"},
	} {
		var names []string
		for _, u := range Builtin().Practice(port(t, tt.port)) {
			names = append(names, u.Name)
		}
		for _, want := range strings.Split(tt.uses, ";") {
			if !slices.Contains(names, want) {
				t.Errorf("%s: %q is missing among %q", tt.port, want, names)
			}
		}
	}
}

// TestRisks lists the services whose exposure is known to be dangerous, with
// the severity that the source gives, or "" where it gives none.
func TestRisks(t *testing.T) {
	for _, tt := range []struct{ ports, service, severity string }{
		{"2375/tcp 2376/tcp 2377/tcp 4243/tcp", "Docker API", "critical"},
		{"5555/tcp", "Android Debug Bridge", "critical"},
		{"4786/tcp", "Cisco Smart Install", "critical"},
		{"53413/udp", "Netis router backdoor", "critical"},
		{"443/tcp", "Microsoft Exchange", "critical"},
		{"80/tcp 443/tcp 8080/tcp", "Administration over HTTP", "critical"},
		{"445/tcp", "SMB", "high"},
		{"3389/tcp", "Remote Desktop", "high"},
		{"3389/udp", "Remote Desktop (UDP)", "high"},
		{"5900/tcp 5901/tcp", "VNC", "high"},
		{"3283/udp", "Apple Remote Desktop", "high"},
		{"4899/tcp", "Radmin", "high"},
		{"177/udp", "XDMCP", "high"},
		{"548/tcp", "AFP", "high"},
		{"137/udp", "NetBIOS", "high"},
		{"389/tcp 389/udp", "LDAP", "high"},
		{"161/udp", "SNMP", "high"},
		{"623/udp", "IPMI", "high"},
		{"1900/udp", "SSDP", "high"},
		{"427/tcp 427/udp", "SLP", "high"},
		{"11211/tcp 11211/udp", "Memcached", "high"},
		{"6379/tcp", "Redis", "high"},
		{"27017/tcp", "MongoDB", "high"},
		{"9200/tcp", "Elasticsearch", "high"},
		{"5984/tcp", "CouchDB", "high"},
		{"3306/tcp", "MySQL and MariaDB", "high"},
		{"5432/tcp", "PostgreSQL", "high"},
		{"1434/udp", "Microsoft SQL Server", "high"},
		{"523/udp", "Db2 discovery", "high"},
		{"50070/tcp 50075/tcp", "Hadoop", "high"},
		{"6443/tcp", "Kubernetes API", "high"},
		{"4369/tcp", "Erlang port mapper", "high"},
		{"179/tcp", "BGP", "high"},
		{"5060/tcp 5060/udp", "SIP", "high"},
		{"631/tcp 631/udp", "CUPS", "high"},
		{"502/tcp 102/tcp 47808/udp 20000/tcp", "Industrial control", "high"},
		{"5351/udp", "NAT-PMP", "high"},
		{"10001/udp", "UniFi discovery", "high"},
		{"37810/udp", "DVR discovery", "high"},
		{"1883/tcp 8883/tcp", "MQTT", "high"},
		{"23/tcp", "Telnet", "medium"},
		{"21/tcp", "FTP", "medium"},
		{"69/udp", "TFTP", "medium"},
		{"873/tcp", "rsync", "medium"},
		{"5672/tcp", "RabbitMQ", "medium"},
		{"61616/tcp", "ActiveMQ", "medium"},
		{"5683/udp", "CoAP", "medium"},
		{"7547/tcp 30005/tcp", "TR-069 (CWMP)", "medium"},
		{"53/udp", "Open DNS resolver", "medium"},
		{"123/udp", "NTP", "medium"},
		{"111/tcp 111/udp", "rpcbind", "medium"},
		{"5353/udp", "mDNS", "medium"},
		{"3702/udp", "WS-Discovery", "medium"},
		{"3478/udp", "STUN and TURN", "medium"},
		{"19/udp", "Chargen", "medium"},
		{"17/udp", "QOTD", "medium"},
		{"1080/tcp", "SOCKS proxy", "medium"},
		{"3128/tcp 8080/tcp", "HTTP proxy", "medium"},
		{"1801/tcp", "MSMQ", "medium"},
		{"4789/udp", "IP tunnels", ""},
		{"135/tcp", "MS-RPC endpoint mapper", ""},
		{"2123/udp 2152/udp", "GTP", ""},
		{"143/tcp 110/tcp", "IMAP and POP3", ""},
		{"25/tcp", "SMTP", "info"},
		{"500/udp", "IPsec IKE", "low"},
		{"22/tcp", "SSH", "low"},
		{"443/tcp 443/udp", "HTTPS", "info"},
		{"7/udp 19/udp 69/udp", "Loop-DoS", ""},
		{"10250/tcp 10255/tcp", "kubelet", ""},
		{"2379/tcp 2380/tcp", "etcd", ""},
		{"10257/tcp 10259/tcp", "Kubernetes control plane", ""},
		{"30000/tcp 32767/tcp", "Kubernetes NodePort", ""},
		{"7001/tcp", "WebLogic", ""},
		{"8728/tcp", "MikroTik API", ""},
		{"1720/tcp", "H.323", ""},
		{"8080/tcp", "Jenkins", ""}, {"5601/tcp", "Kibana", ""}, {"3000/tcp", "Grafana", ""}, {"9090/tcp", "Prometheus", ""},
		{"8500/tcp", "Consul", ""}, {"4646/tcp", "Nomad", ""}, {"8080/tcp", "Airflow", ""}, {"8888/tcp", "Jupyter", ""},
		{"2049/tcp", "NFS", ""},
		{"9042/tcp", "Cassandra", ""}, {"8086/tcp", "InfluxDB", ""}, {"8123/tcp 9000/tcp", "ClickHouse", ""}, {"7687/tcp", "Neo4j", ""},
		{"1099/tcp", "Java RMI and JMX", ""}, {"5005/tcp 8000/tcp", "Debuggers", ""},
		{"2181/tcp", "ZooKeeper", ""}, {"9092/tcp", "Kafka", ""},
		{"512/tcp 513/tcp 514/tcp", "rlogin, rsh, rexec", ""}, {"79/tcp", "Finger", ""},
		{"3260/tcp 10809/tcp", "iSCSI and NBD", ""}, {"514/udp", "Syslog", ""}, {"515/tcp", "Printers", ""},
		{"24007/tcp", "GlusterFS", ""}, {"6789/tcp", "Ceph", ""},
		{"11434/tcp", "Language models", ""}, {"8265/tcp", "Ray dashboard", ""},
	} {
		for _, p := range strings.Fields(tt.ports) {
			risks := Builtin().Risks(port(t, p))
			i := slices.IndexFunc(risks, func(r Risk) bool { return r.Service == tt.service })
			switch {
			case i < 0:
				t.Errorf("%s: no risk %q", p, tt.service)
			case tt.severity != "" && risks[i].Severity.String() != tt.severity:
				t.Errorf("%s %s: %s, want %s", p, tt.service, risks[i].Severity, tt.severity)
			case tt.severity == "" && !strings.Contains(risks[i].Source, "our rating"):
				t.Errorf("%s %s: the source must say that the rating is ours: %q", p, tt.service, risks[i].Source)
			}
		}
	}
}

func TestRows(t *testing.T) {
	checkText := func(what string, text Text) {
		t.Helper()
		if text.EN == "" || text.JA == "" || text.EN == text.JA {
			t.Errorf("%s: %+v", what, text)
		}
		if !strings.ContainsFunc(text.JA, isJapanese) || strings.ContainsFunc(text.EN, isJapanese) {
			t.Errorf("%s: languages mixed up: %+v", what, text)
		}
	}
	numbers := map[uint16]bool{}
	for _, u := range uses {
		what := u.Name + " " + u.Ports.String()
		checkText(what, u.Note)
		if u.Source == "" || u.Name == "" || u.Kind == KindUnknown || u.Ports.Last < u.Ports.First {
			t.Errorf("%s: %+v", what, u)
		}
		if u.Alternative != 0 && u.Ports.Contains(monban.Port{Num: u.Alternative}) {
			t.Errorf("%s: its alternative is itself", what)
		}
		// A program that leaves its port for that of the same protocol inside TLS
		// takes it from whoever speaks that.
		for _, assigned := range Builtin().Assigned(monban.Port{Num: u.Alternative, Proto: monban.TCP}) {
			for _, own := range Builtin().Assigned(monban.Port{Num: u.Ports.First, Proto: monban.TCP}) {
				if name := assigned.Name; u.Alternative != 0 && (name == own.Name+"s" || name == own.Name+"-tls" || name == own.Name+"s-u" || name == "secure-"+own.Name) {
					t.Errorf("%s: its alternative %d is %s", what, u.Alternative, name)
				}
			}
		}
		if u.Ports.Len() == 1 {
			numbers[u.Ports.First] = true
		}
	}
	if len(numbers) < 170 {
		t.Errorf("practice knows %d numbers, want 170", len(numbers))
	}
	for _, r := range risks {
		what := r.Service + " " + r.Ports.String()
		checkText(what, r.Text)
		checkText(what, r.Remedy)
		if r.Source == "" || r.Severity == monban.SeverityUnknown || len(r.Uses) == 0 {
			t.Errorf("%s: %+v", what, r)
		}
		for _, name := range r.Uses {
			if !slices.ContainsFunc(uses[:], func(u Use) bool { return u.Name == name }) {
				t.Errorf("%s: no use %q", what, name)
			}
		}
	}
	for k := range kindNames {
		checkText(kindNames[k], Kind(k).Text())
	}
	t.Logf("%d uses at %d single numbers, %d risks", len(uses), len(numbers), len(risks))
}

func isJapanese(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) }

// TestPracticeEverywhere compares the search by first port with a walk over all
// rows, for every number.
func TestPracticeEverywhere(t *testing.T) {
	b := Builtin()
	for n := range 1 << 16 {
		p := monban.Port{Num: uint16(n), Proto: monban.Proto(rand.IntN(5))}
		var wantUses, wantRisks int
		for i := range uses {
			if uses[i].Ports.Contains(p) {
				wantUses++
			}
		}
		for i := range risks {
			if risks[i].Ports.Contains(p) {
				wantRisks++
			}
		}
		gotUses, gotRisks := b.Practice(p), b.Risks(p)
		if len(gotUses) != wantUses || len(gotRisks) != wantRisks {
			t.Fatalf("%s: %d uses and %d risks, want %d and %d", p, len(gotUses), len(gotRisks), wantUses, wantRisks)
		}
		for _, u := range gotUses {
			if !u.Ports.Contains(p) {
				t.Fatalf("%s: %s", p, u.Name)
			}
		}
		if !slices.IsSortedFunc(gotRisks, func(a, b Risk) int { return int(b.Severity) - int(a.Severity) }) {
			t.Fatalf("%s: risks are not sorted", p)
		}
	}
}

// TestPrograms: the executable proves the use, and its kind decides whether a
// bind to every address is a finding.
func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		program string // and arguments
		use     string
		kind    Kind
	}{
		{"mysqld", "MySQL", Database}, {"mariadbd", "MariaDB", Database}, {"mysqld.exe", "MySQL", Database},
		{"postgres", "PostgreSQL", Database},
		{"redis-server", "Redis", Cache}, {"/usr/bin/redis-check-rdb", "Redis", Cache}, {"valkey-server", "Valkey", Cache},
		{"memcached", "Memcached", Cache},
		{"mongod", "MongoDB", Database},
		{"java -Xms1g org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch", "Elasticsearch", Database},
		{"etcd", "etcd", Database},
		{"java org.apache.cassandra.service.CassandraDaemon", "Cassandra", Database}, {"scylla", "Cassandra", Database},
		{"beam.smp -- -root /opt/couchdb", "CouchDB", Database},
		{"influxd", "InfluxDB", Database}, {"clickhouse", "ClickHouse", Database}, {"clickhouse-server", "ClickHouse", Database},
		{"beam.smp -pa /usr/lib/rabbitmq/lib", "RabbitMQ", Queue}, {"epmd", "Erlang port mapper", RPC},
		{"dockerd", "Docker API", Admin}, {"kubelet", "kubelet", Admin}, {"consul", "Consul", Admin},
		{"kube-apiserver", "Kubernetes API", Admin},
		{"Xtigervnc", "VNC", Remote}, {"x11vnc", "VNC", Remote}, {"xrdp", "Remote Desktop", Remote},
		{"perl /usr/share/webmin/miniserv.pl /etc/webmin/miniserv.conf", "Webmin", Admin},
		{"cockpit-tls", "Cockpit", Admin}, {"cockpit-ws", "Cockpit", Admin},
		{"grafana-server", "Grafana", Monitoring}, {"grafana", "Grafana", Monitoring}, {"prometheus", "Prometheus", Monitoring},
		{"node /usr/share/kibana/src/cli/dist", "Kibana", Monitoring},
		{"java -jar /usr/share/java/jenkins.war", "Jenkins", Admin}, {"portainer", "Portainer", Admin},
		{"adb", "Android Debug Bridge", Debug},
		{"java org.apache.zookeeper.server.quorum.QuorumPeerMain", "ZooKeeper", Database},
		{"java kafka.Kafka server.properties", "Kafka", Queue},
		{"java -Dsolr.solr.home=/var/solr -jar start.jar", "Solr", Database},
		{"java org.neo4j.server.CommunityEntryPoint", "Neo4j", Database},
		{"rpcbind", "rpcbind", RPC}, {"smbd", "SMB", File}, {"cupsd", "CUPS", Print}, {"ollama", "Ollama", AI},
		{"php-fpm8.2", "PHP-FPM", RPC}, {"apache2", "Apache HTTP Server", Web}, {"nginx", "nginx", Web}, {"sshd", "SSH", Remote},
		{"minio", "MinIO", Storage}, {"vsftpd", "FTP", File}, {"master", "SMTP", Mail}, {"named", "BIND", DNS},
		{"sqlservr.exe", "Microsoft SQL Server", Database}, {"nomad", "Nomad", Admin},
		{"python3.11 /usr/bin/jupyter-lab", "Jupyter", Dev},
	} {
		argv := strings.Fields(tt.program)
		found := Builtin().UsesOf(argv[0], argv[1:]...)
		i := slices.IndexFunc(found, func(u Use) bool { return u.Name == tt.use })
		if i < 0 {
			t.Errorf("%s: not %s", tt.program, tt.use)
			continue
		}
		if found[i].Kind != tt.kind {
			t.Errorf("%s: %s, want %s", tt.program, found[i].Kind, tt.kind)
		}
		if !found[i].RunBy(argv[0], argv[1:]) {
			t.Errorf("%s: UsesOf and RunBy disagree", tt.program)
		}
	}
	for _, not := range []string{"java", "python3", "node", "beam.smp", "vim /etc/org.apache.zookeeper", "java -jar mine.jar", "", "redis", "8.2"} {
		argv := append(strings.Fields(not), "")
		if found := Builtin().UsesOf(argv[0], argv[1:]...); found != nil {
			t.Errorf("%q proves %s", not, found[0].Name)
		}
	}
}

func TestInner(t *testing.T) {
	for _, name := range []string{"MySQL", "Redis", "Docker API", "Prometheus", "Java debugging", "Kafka", "iSCSI"} {
		i := slices.IndexFunc(uses[:], func(u Use) bool { return u.Name == name })
		if i < 0 || !uses[i].Kind.Inner() {
			t.Errorf("%s is not meant for its own network", name)
		}
	}
	for _, name := range []string{"SSH", "nginx", "SMTP", "WireGuard", "Minecraft", "BIND"} {
		i := slices.IndexFunc(uses[:], func(u Use) bool { return u.Name == name })
		if i < 0 || uses[i].Kind.Inner() {
			t.Errorf("%s is not meant for everybody", name)
		}
	}
}

// TestRisksOf: whoever reports a wide service has something to say about it, at
// whatever port it listens.
func TestRisksOf(t *testing.T) {
	b := Builtin()
	for _, u := range b.UsesOf("mysqld") {
		if r := b.RisksOf(u); len(r) != 1 || r[0].Service != "MySQL and MariaDB" {
			t.Errorf("%s: %+v", u.Name, r)
		}
	}
	if r := b.RisksOf(Use{Name: "nobody's"}); r != nil {
		t.Errorf("%+v", r)
	}
}

func TestImages(t *testing.T) {
	redis := Builtin().UsesOf("redis-server")[0]
	for image, want := range map[string]bool{
		"redis": true, "redis:7": true, "library/redis": true, "docker.io/library/redis:7.2@sha256:00": true,
		"localhost:5000/redis:x": true, "registry.example.com:5000/bitnami/redis": true,
		"redis-exporter": false, "oliver006/redis_exporter": false, "": false, "sha256:abc": false, "mine/redis": false,
	} {
		if got := redis.InImage(image); got != want {
			t.Errorf("InImage(%q) = %v", image, got)
		}
	}
}

func TestKind(t *testing.T) {
	for k := range kindNames {
		if got, ok := ParseKind(Kind(k).String()); got != Kind(k) || ok != (k != 0) {
			t.Errorf("%s: %v %v", Kind(k), got, ok)
		}
	}
	if got, ok := ParseKind("nonsense"); got != KindUnknown || ok {
		t.Errorf("nonsense: %v %v", got, ok)
	}
	if Kind(200).String() != "unknown" || Kind(200).Text() != (Text{"unknown", "不明"}) {
		t.Error("a kind out of range has a name")
	}
}

// TestShared: what a caller gets is a copy, so that changing it does not change
// the book; only the lists are shared.
func TestShared(t *testing.T) {
	p := port(t, "6379/tcp")
	first := Builtin().Practice(p)
	want := first[0]
	first[0] = Use{}
	if got := Builtin().Practice(p)[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestBrowserBlocked(t *testing.T) {
	if !slices.IsSorted(badPorts[:]) || len(badPorts) != 83 {
		t.Errorf("%d bad ports, sorted %v", len(badPorts), slices.IsSorted(badPorts[:]))
	}
	for _, num := range []uint16{0, 22, 4045, 4190, 6000, 6666, 6679, 10080} {
		if !BrowserBlocked(num) {
			t.Errorf("%d is not blocked", num)
		}
	}
	for _, num := range []uint16{80, 443, 3000, 8080, 6001, 6670, 65535} {
		if BrowserBlocked(num) {
			t.Errorf("%d is blocked", num)
		}
	}
}

// TestInnerRisks: a database or an administration service open to everybody is a
// finding, and then the book must have something to say about it.
func TestInnerRisks(t *testing.T) {
	for _, u := range uses {
		if k := u.Kind; (k == Database || k == Cache || k == Admin) && len(u.Programs)+len(u.Args)+len(u.Images) > 0 && Builtin().RisksOf(u) == nil {
			t.Errorf("%s (%s, %s) has no risk", u.Name, u.Kind, u.Ports)
		}
	}
}
