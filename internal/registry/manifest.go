package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Media types of the manifests that are taken.
const (
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeOCIIndex       = "application/vnd.oci.image.index.v1+json"
	mediaTypeSchema1Prefix  = "application/vnd.docker.distribution.manifest.v1+"
)

// maxManifest is the largest manifest that is taken, as the distribution specification advises.
const maxManifest = 4 << 20

// errNotJSON is what ECR says of a manifest that is no JSON.
var errNotJSON = jsonError("Invalid JSON syntax")

type jsonError string

func (e jsonError) Error() string { return string(e) }

// Descriptor names content by digest.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       Digest            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	URLs         []string          `json:"urls,omitempty"`
}

// isForeign reports whether a layer is fetched from elsewhere and so need not be in the repository.
func (d Descriptor) isForeign() bool {
	return len(d.URLs) > 0 || strings.Contains(d.MediaType, ".foreign.") || strings.Contains(d.MediaType, ".nondistributable.")
}

// Manifest is a decoded manifest or index.
type Manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *Descriptor       `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Manifests     []Descriptor      `json:"manifests"`
	Subject       *Descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// IsIndex reports whether the manifest lists other manifests.
func (m *Manifest) IsIndex() bool {
	return m.MediaType == MediaTypeDockerList || m.MediaType == MediaTypeOCIIndex
}

// DecodeManifest reads a manifest of the given media type (empty: what the document says) and checks its shape.
func DecodeManifest(mediaType string, content []byte) (*Manifest, error) {
	if len(content) > maxManifest {
		return nil, fmt.Errorf("manifest is larger than %d bytes", maxManifest)
	}
	if strings.HasPrefix(mediaType, mediaTypeSchema1Prefix) {
		return nil, errors.New("manifests of schema 1 are not supported")
	}
	var m Manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return nil, errNotJSON
	}
	if m.SchemaVersion != 2 {
		return nil, fmt.Errorf("schemaVersion %d is not supported", m.SchemaVersion)
	}
	// One document that is both an image and an index means different things to different readers (CVE-2021-41190).
	if m.Manifests != nil && (m.Layers != nil || m.Config != nil) {
		return nil, errors.New("manifest has both layers and manifests")
	}
	if mediaType != "" && m.MediaType != "" && mediaType != m.MediaType {
		return nil, fmt.Errorf("mediaType in manifest should be '%s' not '%s'", mediaType, m.MediaType)
	}
	if m.MediaType == "" {
		m.MediaType = mediaType
	}
	if m.MediaType == "" {
		m.MediaType = MediaTypeOCIManifest
		if m.Manifests != nil {
			m.MediaType = MediaTypeOCIIndex
		}
	}
	return &m, m.check()
}

func (m *Manifest) check() error {
	switch m.MediaType {
	case MediaTypeDockerManifest, MediaTypeOCIManifest:
		if m.Config == nil {
			return errors.New("manifest has no config")
		}
		if m.Manifests != nil {
			return errors.New("image manifest lists manifests")
		}
	case MediaTypeDockerList, MediaTypeOCIIndex:
		if m.Layers != nil || m.Config != nil {
			return errors.New("index has layers")
		}
	default:
		return fmt.Errorf("media type '%s' is not supported", m.MediaType)
	}
	for _, d := range m.descriptors() {
		if _, ok := ParseDigest(string(d.Digest)); !ok {
			return fmt.Errorf("digest '%s' is not a sha256 digest", d.Digest)
		}
		if d.Size < 0 {
			return fmt.Errorf("size of %s is negative", d.Digest)
		}
	}
	return nil
}

// descriptors returns everything the manifest names.
func (m *Manifest) descriptors() []Descriptor {
	all := slices.Concat(m.Layers, m.Manifests)
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	if m.Subject != nil {
		all = append(all, *m.Subject)
	}
	return all
}

// needed returns the blobs and the manifests that have to be in the repository before the manifest is taken. A subject may come later.
func (m *Manifest) needed() (blobs, manifests []Digest) {
	if m.Config != nil {
		blobs = append(blobs, m.Config.Digest)
	}
	for _, l := range m.Layers {
		if !l.isForeign() {
			blobs = append(blobs, l.Digest)
		}
	}
	for _, c := range m.Manifests {
		manifests = append(manifests, c.Digest)
	}
	return blobs, manifests
}

// artifactType returns what the referrers API calls the type of an artifact.
func (m *Manifest) artifactType() string {
	if m.ArtifactType == "" && m.Config != nil {
		return m.Config.MediaType
	}
	return m.ArtifactType
}

// layersSize returns the compressed size of an image. A digest that is named twice counts once, as it is stored once.
func (m *Manifest) layersSize() int64 {
	var n int64
	seen := map[Digest]bool{}
	for _, d := range m.descriptors() {
		if m.Subject != nil && d.Digest == m.Subject.Digest || seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		n += d.Size
	}
	return n
}
