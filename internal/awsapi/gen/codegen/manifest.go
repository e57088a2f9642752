package codegen

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Manifest lists the wanted operations of each service, by our short name of the service.
type Manifest map[string][]string

// ParseManifest reads lines "service Operation"; # starts a comment.
func ParseManifest(r io.Reader) (Manifest, error) {
	m := Manifest{}
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		line, _, _ := strings.Cut(scan.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("manifest line %d: want \"service Operation\"", n)
		}
		if slices.Contains(m[fields[0]], fields[1]) {
			return nil, fmt.Errorf("manifest line %d: %s %s is listed twice", n, fields[0], fields[1])
		}
		m[fields[0]] = append(m[fields[0]], fields[1])
	}
	return m, scan.Err()
}

// modelFolder returns the folder of the model for our short name of a service.
func modelFolder(service string) string {
	if service == "cfn" {
		return "cloudformation"
	}
	return service
}
