package fake

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"

	"github.com/neargate/neargate/internal/container"
)

// contents returns what a manifest names.
func contents(m container.Manifest) (config container.Descriptor, layers []container.Descriptor, err error) {
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	var doc struct {
		Config descriptor   `json:"config"`
		Layers []descriptor `json:"layers"`
	}
	if sum(m.Raw) != m.Digest {
		return config, nil, errShort
	}
	if err := json.Unmarshal(m.Raw, &doc); err != nil {
		return config, nil, fmt.Errorf("decode manifest: %w", err)
	}
	for _, l := range doc.Layers {
		layers = append(layers, container.Descriptor(l))
	}
	return container.Descriptor(doc.Config), layers, nil
}

func read(ctx context.Context, d container.Descriptor, fetch container.Fetch) ([]byte, error) {
	body, err := fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("failed to copy: %w", err)
	}
	if sum(data) != d.Digest {
		return nil, errShort
	}
	return data, nil
}

func describe(config []byte) (container.Image, error) {
	var doc struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Config       struct {
			Entrypoint, Cmd, Env         []string
			User, WorkingDir, StopSignal string
			Volumes                      map[string]struct{}
		} `json:"config"`
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return container.Image{}, fmt.Errorf("decode image configuration: %w", err)
	}
	i := container.Image{OS: doc.OS, Architecture: doc.Architecture, Entrypoint: doc.Config.Entrypoint, Command: doc.Config.Cmd,
		Env: doc.Config.Env, User: doc.Config.User, WorkDir: doc.Config.WorkingDir, StopSignal: doc.Config.StopSignal}
	for v := range doc.Config.Volumes {
		i.Volumes = append(i.Volumes, v)
	}
	return i, nil
}

func sum(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
