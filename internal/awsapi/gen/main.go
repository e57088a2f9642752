// Command gen writes the packages internal/awsapi/<service>api from the AWS API models and the manifest of operations.
//
//	go run ./internal/awsapi/gen -models ../shared/models -manifest internal/awsapi/manifest.txt -out internal/awsapi
//
// It is only a command line around package codegen.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/neargate/neargate/internal/awsapi/gen/codegen"
)

func main() {
	models := flag.String("models", "../shared/models", "folder with <service>/service-2.json.gz")
	manifest := flag.String("manifest", "internal/awsapi/manifest.txt", "list of operations")
	out := flag.String("out", "internal/awsapi", "folder to write the packages to")
	flag.Parse()
	if err := run(*models, *manifest, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(models, manifestPath, out string) error {
	f, err := os.Open(manifestPath)
	if err != nil {
		return fmt.Errorf("open manifest: %w", err)
	}
	defer f.Close()
	manifest, err := codegen.ParseManifest(f)
	if err != nil {
		return err
	}
	files, err := codegen.Generate(models, manifest)
	if err != nil {
		return err
	}
	for name, source := range files {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make folder of %s: %w", name, err)
		}
		if err := os.WriteFile(path, source, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
