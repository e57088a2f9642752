package image

import (
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Reference is a parsed image reference.
type Reference struct {
	Original   string // as the task definition has it
	Canonical  string // with registry and tag: docker.io/library/nginx:latest
	Host       string // that requests go to
	Repository string // path below /v2/
	Identifier string // tag or digest
	IsDigest   bool
	// Private ECR registry: the account and region of the host name; empty otherwise.
	ECRAccount string
	ECRRegion  string
}

var ecrHost = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$`)

// Parse reads a reference as docker does: a name without a host is one of Docker Hub, no tag is "latest".
func Parse(reference string) (Reference, error) {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return Reference{}, err
	}
	registry, repo := parsed.Context().RegistryStr(), parsed.Context().RepositoryStr()
	r := Reference{Original: reference, Host: registry, Repository: repo, Identifier: parsed.Identifier()}
	_, r.IsDigest = parsed.(name.Digest)
	shown := registry
	if registry == name.DefaultRegistry {
		shown, r.Host = "docker.io", "registry-1.docker.io"
	}
	separator := ":"
	if r.IsDigest {
		separator = "@"
	}
	r.Canonical = shown + "/" + repo + separator + r.Identifier
	if m := ecrHost.FindStringSubmatch(strings.ToLower(registry)); m != nil {
		r.ECRAccount, r.ECRRegion = m[1], m[2]
	}
	return r, nil
}

// Pin returns the reference with the digest that it once led to in place of its tag. A reference that names a digest
// already, or cannot be read, stays as it is, and so does one without a digest to put in.
func Pin(reference, digest string) string {
	parsed, err := name.ParseReference(reference)
	if err != nil || digest == "" {
		return reference
	}
	if _, ok := parsed.(name.Digest); ok {
		return reference
	}
	return strings.TrimSuffix(reference, ":"+parsed.Identifier()) + "@" + digest
}

// IsECR reports whether the image is in a private ECR registry, for which the task needs an execution role.
func (r Reference) IsECR() bool { return r.ECRAccount != "" }

func (r Reference) url(kind, id string) string {
	return "https://" + r.Host + "/v2/" + r.Repository + "/" + kind + "/" + id
}
