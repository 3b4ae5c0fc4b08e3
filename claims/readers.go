package claims

import "path"

// reader knows one format.
type reader struct {
	// by is Claim.By.
	by string
	// is recognises a file by its path alone; cheap, because it is asked for
	// every file of a tree.
	is func(name string) bool
	// looks recognises a file that the user named by its content; nil never.
	looks func(data []byte) bool
	// read reads the file scan.main, which may turn out to be something else:
	// then it calls scan.decline.
	read func(*scan)
	// system are the places on a machine, patterns of path.Match.
	system []string
	// piece says that such a file is usually included by another one, and is
	// only to be read by itself when it was not.
	piece bool
}

// readers lists every format. The first that recognises a name gets the file.
func readers() []reader {
	return []reader{
		{by: "claims", is: named("claims.yaml", "claims.yml"), looks: looksLikeClaims, read: readClaims},
		{by: "apache", is: named("httpd.conf", "apache2.conf"), looks: looksLikeApache, read: readApache,
			system: []string{"etc/apache2/apache2.conf", "etc/httpd/conf/httpd.conf", "opt/lampp/etc/httpd.conf",
				"usr/local/etc/httpd/httpd.conf", "opt/homebrew/etc/httpd/httpd.conf", "xampp/apache/conf/httpd.conf"}},
		{by: "nginx", is: named("nginx.conf"), looks: looksLikeNginx, read: readNginx,
			system: []string{"etc/nginx/nginx.conf", "usr/local/etc/nginx/nginx.conf", "opt/homebrew/etc/nginx/nginx.conf"}},
		{by: "mariadb", is: named("my.cnf", "my.ini", "mariadb.cnf", "mysqld.cnf"), read: readMySQL,
			system: []string{"etc/mysql/my.cnf", "etc/my.cnf", "opt/lampp/etc/my.cnf", "usr/local/etc/my.cnf", "opt/homebrew/etc/my.cnf",
				"xampp/mysql/bin/my.ini", "ProgramData/MySQL/*/my.ini"}},
		{by: "postgresql", is: named("postgresql.conf"), read: readPostgres,
			system: []string{"etc/postgresql/*/*/postgresql.conf", "var/lib/pgsql/data/postgresql.conf", "var/lib/pgsql/*/data/postgresql.conf"}},
		{by: "redis", is: named("redis.conf", "valkey.conf", "sentinel.conf", "redis-server.conf"), read: readRedis,
			system: []string{"etc/redis/*.conf", "etc/redis.conf", "etc/valkey/*.conf"}},
		{by: "sshd", is: named("sshd_config"), looks: looksLikeSSHD, read: readSSHD, system: []string{"etc/ssh/sshd_config"}},
		{by: "vsftpd", is: named("vsftpd.conf"), read: readVsftpd, system: []string{"etc/vsftpd.conf", "etc/vsftpd/*.conf"}},
		{by: "proftpd", is: named("proftpd.conf"), read: readProFTPD, system: []string{"etc/proftpd/proftpd.conf", "etc/proftpd.conf", "opt/lampp/etc/proftpd.conf"}},
		{by: "postfix", is: named("master.cf"), read: readPostfix, system: []string{"etc/postfix/master.cf"}},
		{by: "dovecot", is: named("dovecot.conf"), read: readDovecot, system: []string{"etc/dovecot/dovecot.conf"}},
		{by: "haproxy", is: named("haproxy.cfg"), read: readHAProxy, system: []string{"etc/haproxy/haproxy.cfg"}},
		{by: "lighttpd", is: named("lighttpd.conf"), read: readLighttpd, system: []string{"etc/lighttpd/lighttpd.conf"}},
		{by: "named", is: named("named.conf"), read: readBIND, system: []string{"etc/bind/named.conf", "etc/named.conf"}},
		{by: "squid", is: named("squid.conf"), read: readSquid, system: []string{"etc/squid/squid.conf"}},
		{by: "mosquitto", is: named("mosquitto.conf"), read: readMosquitto, system: []string{"etc/mosquitto/mosquitto.conf"}},
		{by: "php-fpm", is: named("php-fpm.conf"), looks: looksLikeFPM, read: readFPM, system: []string{"etc/php/*/fpm/php-fpm.conf", "etc/php-fpm.conf"}},
		{by: "systemd", is: extension(".socket"), read: readSocketUnit, system: enabledUnits("socket")},
		{by: "systemd", is: extension(".service"), read: readServiceUnit, system: enabledUnits("service")},
		{by: "tomcat", is: named("server.xml"), read: readTomcat, system: []string{"etc/tomcat*/server.xml", "var/lib/tomcat*/conf/server.xml", "xampp/tomcat/conf/server.xml"}},
		{by: "iis", is: named("applicationHost.config", "applicationhost.config"), read: readIIS, system: []string{"Windows/System32/inetsrv/config/applicationHost.config"}},
		{by: "filezilla", is: named("FileZilla Server.xml"), read: readFileZilla, system: []string{"xampp/FileZillaFTP/FileZilla Server.xml"}},
		{by: "xampp", is: named("xampp-control.ini"), read: readXamppPanel, system: []string{"xampp/xampp-control.ini"}},
		{by: "phpmyadmin", is: named("config.inc.php"), read: readPHPMyAdmin, system: []string{"xampp/phpMyAdmin/config.inc.php", "opt/lampp/phpmyadmin/config.inc.php"}},
		{by: "php", is: named("php.ini"), read: readPHPIni, system: []string{"xampp/php/php.ini", "opt/lampp/etc/php.ini"}},
		{by: "caddy", is: named("Caddyfile"), read: readCaddyfile, system: []string{"etc/caddy/Caddyfile"}},
		{by: "traefik", is: named("traefik.yml", "traefik.yaml", "traefik.toml"), read: readTraefik, system: []string{"etc/traefik/traefik.y*ml", "etc/traefik/traefik.toml"}},
		{by: "mongodb", is: named("mongod.conf", "mongodb.conf"), read: readMongo, system: []string{"etc/mongod.conf", "etc/mongodb.conf"}},
		{by: "rabbitmq", is: named("rabbitmq.conf"), read: readRabbitMQ, system: []string{"etc/rabbitmq/rabbitmq.conf", "etc/rabbitmq/enabled_plugins"}},
		{by: "kafka", is: named("server.properties"), read: readKafka, system: []string{"etc/kafka/server.properties", "opt/kafka/config/server.properties", "opt/kafka/config/kraft/server.properties"}},
		{by: "zookeeper", is: named("zoo.cfg", "zookeeper.properties"), read: readZooKeeper, system: []string{"etc/zookeeper/conf/zoo.cfg", "opt/kafka/config/zookeeper.properties"}},
		{by: "elasticsearch", is: named("elasticsearch.yml", "opensearch.yml"), read: readElastic, system: []string{"etc/elasticsearch/elasticsearch.yml", "etc/opensearch/opensearch.yml"}},
		{by: "kibana", is: named("kibana.yml"), read: readKibana, system: []string{"etc/kibana/kibana.yml"}},
		{by: "spring", is: named("application.properties", "application.yml", "application.yaml"), read: readSpring},
		{by: "aspnet", is: named("launchSettings.json"), read: readLaunchSettings},

		{by: "compose", is: isCompose, looks: looksLikeCompose, read: readCompose},
		{by: "node", is: named("package.json"), read: readPackage},
		{by: "node", is: isNodeConfig, read: readNodeConfig, piece: true},
		{by: "procfile", is: named("Procfile", "Procfile.dev"), read: readProcfile},
		{by: "puma", is: isPuma, read: readPuma, piece: true},
		{by: "dotenv", is: named(".env", ".flaskenv"), read: readDotenvFile, piece: true},
		{by: "devcontainer", is: named("devcontainer.json", ".devcontainer.json"), read: readDevcontainer},
		{by: "kubernetes", is: isManifest, looks: looksLikeKubernetes, read: readKubernetes},

		{by: "dockerfile", is: isDockerfile, read: readDockerfile},

		{by: "loose", is: extension(".conf"), read: readLoose, piece: true},
	}
}

// named recognises files by their base names.
func named(bases ...string) func(string) bool {
	return func(name string) bool {
		base := path.Base(name)
		for _, b := range bases {
			if b == base {
				return true
			}
		}
		return false
	}
}
