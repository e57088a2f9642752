package registry

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func (f *fixture) reference(s string) name.Reference {
	f.t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(f.server.URL, "http://")+"/"+s, name.Insecure)
	if err != nil {
		f.t.Fatal(err)
	}
	return ref
}

// TestLibraryClient pushes and pulls with go-containerregistry, which is also what the pull path uses.
func TestLibraryClient(t *testing.T) {
	f := newFixture(t, "web/api", "other")
	auth := remote.WithAuth(&authn.Basic{Username: user, Password: f.password})
	const layerSize, layerCount = 100 << 10, 5
	img, err := random.Image(layerSize, layerCount)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(f.reference("web/api:v1"), img, auth); err != nil {
		t.Fatal(err)
	}
	got, err := remote.Image(f.reference("web/api:v1"), auth)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	if err := remote.Write(f.reference("other:v1"), got, auth); err != nil { // mounts the layers
		t.Errorf("copy between repositories: %v", err)
	}
	index, err := random.Index(layerSize, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(f.reference("web/api:multi"), index, auth); err != nil {
		t.Fatal(err)
	}
	gotIndex, err := remote.Index(f.reference("web/api:multi"), auth)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(gotIndex); err != nil {
		t.Error(err)
	}
	tags, err := remote.List(f.reference("web/api").Context(), auth)
	if err != nil || strings.Join(tags, " ") != "multi v1" {
		t.Errorf("tags: %v %v", tags, err)
	}
	if err := remote.Write(f.reference("web/api:v2"), img, remote.WithAuth(authn.Anonymous)); err == nil {
		t.Error("push without credentials went well")
	}
	if err := remote.Write(f.reference("none:v1"), img, auth); err == nil || !strings.Contains(err.Error(), "NAME_UNKNOWN") {
		t.Errorf("push to no repository: %v", err)
	}
}

// TestSkopeo pushes an OCI layout with the command that users have, and pulls it again.
func TestSkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed (apt install skopeo)")
	}
	f := newFixture(t, "web/api")
	const layerSize, layerCount = 1 << 20, 3
	img, err := random.Image(layerSize, layerCount)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in, out, back := filepath.Join(dir, "in"), filepath.Join(dir, "out.tar"), filepath.Join(dir, "back")
	if _, err := layout.Write(in, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img})); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	remoteName := "docker://" + strings.TrimPrefix(f.server.URL, "http://") + "/web/api:v1"
	for _, args := range [][]string{
		{"copy", "--dest-tls-verify=false", "--dest-creds", "AWS:" + f.password, "oci:" + in, remoteName},
		{"copy", "--src-tls-verify=false", "--src-creds", "AWS:" + f.password, remoteName, "oci-archive:" + out},
		{"copy", "--src-tls-verify=false", "--src-creds", "AWS:" + f.password, "--format", "v2s2", "--dest-tls-verify=false", "--dest-creds", "AWS:" + f.password, remoteName, strings.Replace(remoteName, ":v1", ":docker", 1)},
		{"copy", "--src-tls-verify=false", "--src-creds", "AWS:" + f.password, strings.Replace(remoteName, ":v1", ":docker", 1), "dir:" + back},
	} {
		cmd := exec.CommandContext(t.Context(), skopeo, append([]string{"--policy", policy}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir)
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("skopeo %v: %v\n%s", args[0], err, b)
		}
	}
}
