package daemons

import "github.com/monban-dev/monban"

// data are databases and caches.
func data() []Daemon {
	return []Daemon{
		{Name: "Redis", Needs: "redis-server", Client: []string{"redis-cli", "-h", "@ADDR@", "ping"}, Doors: []Door{tcp(6379, "redis", "Redis")}, start: func(r *room) {
			r.daemon("root", "redis-server", "--port", "6379", "--bind", "@ADDR@", "--save", "", "--dir", "@DIR@")
		}},
		{Name: "Redis with a password", Needs: "redis-server", Doors: []Door{tcp(6379, "redis", "")}, start: func(r *room) {
			r.daemon("root", "redis-server", "--port", "6379", "--bind", "@ADDR@", "--save", "", "--dir", "@DIR@", "--requirepass", "secret")
		}},
		{Name: "memcached", Needs: "memcached", Doors: []Door{tcp(11211, "memcached", "memcached"), udp(11211, "memcached", "memcached")}, start: func(r *room) {
			r.daemon("root", "memcached", "-u", "nobody", "-l", "@ADDR@", "-p", "11211", "-U", "11211", "-m", "8")
		}},
		{Name: "MariaDB", Needs: "mariadbd", Outside: true, Client: []string{"mariadb", "--no-defaults", "-h", "@ADDR@", "-u", "visitor", "-e", "select 1"}, Doors: []Door{tcp(3306, "mysql", "MariaDB")}, start: func(r *room) {
			r.subdir("mariadb", "mysql")
			r.run("mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir=@DIR@/mariadb", "--skip-test-db", "--auth-root-authentication-method=normal")
			// Errors are counted for hosts that have a name.
			r.instead("/etc/hosts", "127.0.0.1 localhost\n@ADDR@ client.example\n")
			r.daemon("mysql", "mariadbd", "--no-defaults", "--datadir=@DIR@/mariadb", "--bind-address=@ADDR@", "--socket=@DIR@/mariadb/s",
				"--pid-file=@DIR@/mariadb/pid", "--max-connect-errors=2", "--init-file="+r.file("init.sql", "create user visitor;\n"), "--innodb-buffer-pool-size=8M")
		}},
		{Name: "PostgreSQL", Needs: "postgres", Client: []string{"psql", "-h", "@ADDR@", "-U", "postgres", "-c", "select 1"}, Doors: []Door{tcp(5432, "postgresql", "PostgreSQL")}, start: func(r *room) {
			r.subdir("postgresql", "postgres")
			r.runAs("postgres", "initdb", "--no-sync", "--auth=trust", "-D", "@DIR@/postgresql")
			r.daemon("postgres", "postgres", "-D", "@DIR@/postgresql", "-k", "@DIR@/postgresql", "-h", "@ADDR@")
		}},
		{Name: "PostgreSQL with TLS", Needs: "postgres", Doors: []Door{{Proto: monban.TCP, Port: 5432, Protocol: "postgresql", Product: "PostgreSQL", TLS: true}}, start: func(r *room) {
			r.certificate("postgres")
			r.run("chmod", "600", "@DIR@/key.pem")
			r.subdir("postgresql", "postgres")
			r.runAs("postgres", "initdb", "--no-sync", "--auth=scram-sha-256", "--pwfile="+r.file("password", "secret\n"), "-D", "@DIR@/postgresql")
			r.daemon("postgres", "postgres", "-D", "@DIR@/postgresql", "-k", "@DIR@/postgresql", "-h", "@ADDR@",
				"-c", "ssl=on", "-c", "ssl_cert_file=@DIR@/cert.pem", "-c", "ssl_key_file=@DIR@/key.pem")
		}},
		{Name: "OpenLDAP", Needs: "slapd", Client: []string{"curl", "-s", "ldap://@ADDR@/??base"}, Doors: []Door{tcp(389, "ldap", "OpenLDAP")}, start: func(r *room) {
			r.subdir("ldap", "openldap")
			r.run("chmod", "777", "@DIR@/ldap")
			r.daemon("root", "slapd", "-d", "0", "-h", "ldap://@ADDR@:389", "-f", r.file("slapd.conf", `include /etc/ldap/schema/core.schema
pidfile @DIR@/ldap/pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=example"
directory @DIR@/ldap
`))
		}},
		{Name: "ClamAV", Needs: "clamd", Doors: []Door{tcp(3310, "clamd", "ClamAV")}, start: func(r *room) {
			r.subdir("clam", "clamav")
			r.file("clam/test.ndb", "Monban.Test:0:*:6d6f6e62616e2d746573742d7369676e6174757265\n")
			r.daemon("root", "clamd", "-F", "-c", r.file("clamd.conf", "TCPSocket 3310\nTCPAddr @ADDR@\nDatabaseDirectory @DIR@/clam\nUser clamav\nForeground yes\nOfficialDatabaseOnly no\n"))
		}},
	}
}

// brokers pass messages on and coordinate.
func brokers() []Daemon {
	return []Daemon{
		{Name: "ZooKeeper", Needs: "/usr/share/zookeeper/bin/zkServer.sh", Doors: []Door{tcp(2181, "zookeeper", "ZooKeeper")}, start: func(r *room) {
			r.subdir("zookeeper", "root")
			conf := r.file("zoo.cfg", "tickTime=2000\ndataDir=@DIR@/zookeeper\nclientPort=2181\nclientPortAddress=@ADDR@\nadmin.enableServer=false\n")
			r.daemon("root", "java", "-Xmx64m", "-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar:/etc/zookeeper/conf_example:/usr/share/java/*", "org.apache.zookeeper.server.quorum.QuorumPeerMain", conf)
		}},
		{Name: "RabbitMQ", Needs: "rabbitmq-server", Doors: []Door{tcp(5672, "amqp", "RabbitMQ"), tcp(15672, "http", "RabbitMQ management")}, start: func(r *room) {
			r.subdir("rabbit", "rabbitmq")
			r.file("rabbitmq.conf", "management.tcp.port = 15672\nmanagement.tcp.ip = @ADDR@\n")
			// A port mapper of its own: the one below is on 127.0.0.1, too, and
			// when it ended RabbitMQ ended (no_epmd_port).
			r.daemon("rabbitmq", "env", "HOME=@DIR@/rabbit", "ERL_EPMD_PORT=14369", "RABBITMQ_NODE_IP_ADDRESS=@ADDR@", "RABBITMQ_NODENAME=monban@localhost", "RABBITMQ_MNESIA_BASE=@DIR@/rabbit/db",
				"RABBITMQ_LOG_BASE=@DIR@/rabbit/log", "RABBITMQ_LOGS=-", "RABBITMQ_PID_FILE=@DIR@/rabbit/pid", "RABBITMQ_SERVER_START_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
				"RABBITMQ_ENABLED_PLUGINS_FILE="+r.file("plugins", "[rabbitmq_management].\n"), "RABBITMQ_CONFIG_FILE=@DIR@/rabbitmq", "RABBITMQ_CONF_ENV_FILE=@DIR@/none-env", "/usr/lib/rabbitmq/bin/rabbitmq-server")
		}},
		{Name: "epmd", Needs: "epmd", Doors: []Door{tcp(4369, "epmd", "")}, start: func(r *room) {
			r.daemon("nobody", "epmd", "-address", "@ADDR@", "-port", "4369")
		}},
		{Name: "Mosquitto", Needs: "mosquitto", Client: []string{"sh", "-c", "curl -s -m 2 mqtt://@ADDR@/x; test $? = 8"}, Doors: []Door{tcp(1883, "mqtt", "")}, start: func(r *room) {
			r.daemon("root", "mosquitto", "-c", r.file("mosquitto.conf", "listener 1883 @ADDR@\nallow_anonymous false\nuser root\n"))
		}},
		{Name: "NATS", Needs: "nats-server", Client: []string{"curl", "-s", "http://@ADDR@:8222/varz"}, Doors: []Door{tcp(4222, "nats", "NATS"), tcp(8222, "http", "")}, start: func(r *room) {
			r.daemon("root", "nats-server", "-a", "@ADDR@", "-p", "4222", "-m", "8222")
		}},
		{Name: "NATS with TLS", Needs: "nats-server", Doors: []Door{{Proto: monban.TCP, Port: 4222, Protocol: "nats", Product: "NATS", TLS: true}}, start: func(r *room) {
			r.certificate("root")
			r.daemon("root", "nats-server", "-a", "@ADDR@", "-p", "4222", "--tls", "--tlscert", "@DIR@/cert.pem", "--tlskey", "@DIR@/key.pem", "--user", "a", "--pass", "b")
		}},
	}
}
