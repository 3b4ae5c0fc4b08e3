package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// plant fills a directory with 2,000 configuration files of four kinds that ask
// for 5,000 ports, each another one.
func plant(dir string) error {
	for i := range 2000 {
		name, text := "compose.yaml", fmt.Sprintf("services:\n  web:\n    image: x\n    ports:\n      - \"%d:80\"\n      - \"%d:81\"\n  db:\n    image: y\n    ports: [\"%d:5432\"]\n",
			20000+i, 23000+i, 26000+i)
		switch i % 4 {
		case 0:
			name, text = "nginx.conf", fmt.Sprintf("events {}\nhttp {\n  server { listen %d; }\n  server { listen %d; }\n  server { listen %d; }\n}\n",
				10000+3*i, 10001+3*i, 10002+3*i)
		case 1:
			name, text = "redis.conf", fmt.Sprintf("port %d\nbind 127.0.0.1 ::1\n", 16000+i)
		case 2:
			name, text = "claims.yaml", fmt.Sprintf("claims:\n  - {name: a%[1]d, port: %[1]d}\n  - {name: b, port: %[2]d}\n", 30000+2*i, 30001+2*i)
		}
		sub := filepath.Join(dir, strconv.Itoa(i/50), strconv.Itoa(i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(sub, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
