package registry

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

func TestAuthentication(t *testing.T) {
	f := newFixture(t, "web/api")
	a := f.do(http.MethodGet, "/v2/", "", "Authorization: none", "Host: 000000000000.dkr.ecr.us-east-1.amazonaws.com")
	if got, want := a.header.Get("Www-Authenticate"),
		`Basic realm="https://000000000000.dkr.ecr.us-east-1.amazonaws.com/",service="ecr.amazonaws.com"`; a.status != 401 || got != want {
		t.Errorf("without credentials: %d %q, want 401 %q", a.status, got, want)
	}
	if got := a.code(t); got != "UNAUTHORIZED: no basic auth credentials" {
		t.Errorf("without credentials: %s", got)
	}
	if a := f.do(http.MethodGet, "/v2/", ""); a.status != 200 || a.header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
		t.Errorf("with password: %d %v", a.status, a.header)
	}
	good := f.password
	f.password = good[:len(good)-2] + "xx"
	if a := f.do(http.MethodGet, "/v2/", ""); a.status != 401 {
		t.Errorf("with a forged password: %d", a.status)
	}
	f.password = good
	f.now = f.now.Add(PasswordLifetime)
	f.start()
	f.password = good
	if a := f.do(http.MethodGet, "/v2/", ""); a.status != 403 || !strings.HasPrefix(a.code(t), "DENIED: Your authorization token has expired.") {
		t.Errorf("after 12 hours: %d %s", a.status, a.body)
	}
	f.now = f.now.Add(-time.Minute)
	f.start()
	f.password = good
	if a := f.do(http.MethodGet, "/v2/", ""); a.status != 200 {
		t.Errorf("a restart made a password invalid: %d %s", a.status, a.body)
	}
}

func TestErrors(t *testing.T) {
	f := newFixture(t, "web/api", "fixed")
	f.update(func(tx *store.Txn) {
		f.catalog.Tables.Repositories.Edit(tx, "fixed", func(r *model.Repository) { r.TagMutability = Immutable })
	})
	f.pushImage("fixed", "v1", "one")
	digest, _ := f.pushImage("web/api", "v1", "layer")
	some := DigestOf([]byte("absent")).String()
	manifest := func(layer string) string {
		return `{"schemaVersion":2,"mediaType":"` + MediaTypeOCIManifest + `","config":{"digest":"` + layer + `","size":3},"layers":[]}`
	}
	tests := []struct {
		name, method, path, body, header string
		status                           int
		want                             string
	}{
		{"repository", "GET", "/v2/none/manifests/v1", "", "", 404, "NAME_UNKNOWN: The repository with name 'none' does not exist in the registry with id '000000000000'"},
		{"push to no repository", "POST", "/v2/none/blobs/uploads/", "", "", 404, "NAME_UNKNOWN: The repository with name 'none' does not exist in the registry with id '000000000000'"},
		{"other account", "GET", "/v2/web/api/manifests/v1", "", "Host: 111111111111.dkr.ecr.us-east-1.amazonaws.com", 404, "NAME_UNKNOWN: The repository with name 'web/api' does not exist in the registry with id '111111111111'"},
		{"bad name", "GET", "/v2/Web/manifests/v1", "", "", 400, "NAME_INVALID: "},
		{"tag", "GET", "/v2/web/api/manifests/v2", "", "", 404, "MANIFEST_UNKNOWN: Requested image not found"},
		{"digest", "GET", "/v2/web/api/manifests/" + some, "", "", 404, "MANIFEST_UNKNOWN: Requested image not found"},
		{"bad tag", "PUT", "/v2/web/api/manifests/-x", "", "", 400, "TAG_INVALID: "},
		{"bad digest of a manifest", "PUT", "/v2/web/api/manifests/sha256:xyz", "", "", 400, "DIGEST_INVALID: "},
		{"blob", "GET", "/v2/web/api/blobs/" + some, "", "", 404, "BLOB_UNKNOWN: "},
		{"blob of another repository", "GET", "/v2/web/api/blobs/" + DigestOf([]byte("one")).String(), "", "", 404, "BLOB_UNKNOWN: "},
		{"bad digest", "GET", "/v2/web/api/blobs/sha512:00", "", "", 400, "DIGEST_INVALID: "},
		{"delete blob", "DELETE", "/v2/web/api/blobs/" + some, "", "", 405, "UNSUPPORTED: "},
		{"missing layer", "PUT", "/v2/web/api/manifests/v2", manifest(some), "", 404, "MANIFEST_BLOB_UNKNOWN: Layers with digests '[" + some + "]' required for pushing image into repository with name 'web/api' in the registry with id '000000000000' do not exist"},
		{"missing child", "PUT", "/v2/web/api/manifests/v2", `{"schemaVersion":2,"mediaType":"` + MediaTypeOCIIndex + `","manifests":[{"digest":"` + some + `","size":3}]}`, "", 404, "MANIFEST_BLOB_UNKNOWN: Images with digests"},
		{"no JSON", "PUT", "/v2/web/api/manifests/v2", "{", "", 400, "MANIFEST_INVALID: Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"},
		{"schema 1", "PUT", "/v2/web/api/manifests/v2", "{}", "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws", 400, "MANIFEST_INVALID: "},
		{"wrong type", "PUT", "/v2/web/api/manifests/v2", manifest(some), "Content-Type: " + MediaTypeDockerManifest, 400, "MANIFEST_INVALID: "},
		{"wrong digest", "PUT", "/v2/web/api/manifests/" + some, manifest(some), "", 400, "DIGEST_INVALID: "},
		{"immutable", "PUT", "/v2/fixed/manifests/v1", manifest(DigestOf([]byte("one")).String()), "", 400, "TAG_INVALID: The image tag 'v1' already exists in the 'fixed' repository and cannot be overwritten because the tag is immutable."},
		{"upload", "PATCH", "/v2/web/api/blobs/uploads/00000000-0000-4000-8000-000000000000", "x", "", 404, "BLOB_UPLOAD_UNKNOWN: "},
		{"upload outside", "PATCH", "/v2/web/api/blobs/uploads/..%2f..%2fkey", "x", "", 404, ""},
		{"wrong content", "POST", "/v2/web/api/blobs/uploads/?digest=" + some, "x", "", 400, "DIGEST_INVALID: "},
		{"unknown path", "GET", "/v2/web/api/other/thing", "", "", 404, "UNSUPPORTED: "},
		{"page", "GET", "/v2/web/api/tags/list?n=x", "", "", 400, "PAGINATION_NUMBER_INVALID: "},
		{"delete twice", "DELETE", "/v2/web/api/manifests/" + some, "", "", 404, "MANIFEST_UNKNOWN: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.do(tt.method, tt.path, tt.body, tt.header)
			if a.status != tt.status || !strings.HasPrefix(a.code(t), tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.status, a.body, tt.status, tt.want)
			}
		})
	}
	if a := f.do("GET", "/v2/web/api/manifests/v1", ""); a.header.Get("Docker-Content-Digest") != digest.String() {
		t.Errorf("the tag moved: %v", a.header)
	}
}

func TestManifests(t *testing.T) {
	f := newFixture(t, "web/api")
	d, content := f.pushImage("web/api", "v1", "one")
	a := f.do("GET", "/v2/web/api/manifests/v1", "")
	if a.status != 200 || a.body != string(content) || a.header.Get("Content-Type") != MediaTypeOCIManifest {
		t.Errorf("get: %d %v %q", a.status, a.header, a.body)
	}
	a = f.do("HEAD", "/v2/web/api/manifests/"+d.String(), "")
	if a.status != 200 || a.header.Get("Content-Length") == "0" || a.header.Get("Docker-Content-Digest") != d.String() {
		t.Errorf("head: %d %v", a.status, a.header)
	}
	d2, _ := f.pushImage("web/api", "v1", "two")
	if a := f.do("HEAD", "/v2/web/api/manifests/v1", ""); a.header.Get("Docker-Content-Digest") != d2.String() {
		t.Errorf("the tag did not move: %v", a.header)
	}
	f.pushImage("web/api", "v2", "two")
	f.pushImage("web/api", "v3", "two")
	a = f.do("GET", "/v2/web/api/tags/list?n=2", "")
	if a.body != `{"name":"web/api","tags":["v1","v2"]}` || a.header.Get("Link") != `</v2/web/api/tags/list?last=v2&n=2>; rel="next"` {
		t.Errorf("tags: %s %v", a.body, a.header)
	}
	if a = f.do("GET", "/v2/web/api/tags/list?n=2&last=v2", ""); a.body != `{"name":"web/api","tags":["v3"]}` || a.header.Get("Link") != "" {
		t.Errorf("second page: %s %v", a.body, a.header)
	}
	if a = f.do("GET", "/v2/_catalog", ""); a.body != `{"repositories":["web/api"]}` {
		t.Errorf("catalog: %s", a.body)
	}
	if a = f.do("DELETE", "/v2/web/api/manifests/v3", ""); a.status != 202 {
		t.Errorf("untag: %d %s", a.status, a.body)
	}
	if a = f.do("DELETE", "/v2/web/api/manifests/"+d.String(), ""); a.status != 202 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a = f.do("GET", "/v2/web/api/manifests/"+d.String(), ""); a.status != 404 {
		t.Errorf("deleted manifest: %d", a.status)
	}
}

func TestReferrers(t *testing.T) {
	f := newFixture(t, "r1")
	subject, content := f.pushImage("r1", "v1", "one")
	empty := f.pushBlob("r1", "{}")
	m := `{"schemaVersion":2,"mediaType":"` + MediaTypeOCIManifest + `","artifactType":"application/sig","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` +
		empty.String() + `","size":2},"layers":[],"subject":{"mediaType":"` + MediaTypeOCIManifest + `","digest":"` + subject.String() + `","size":` +
		"1" + `},"annotations":{"a":"b"}}`
	_ = content
	d := DigestOf([]byte(m))
	if a := f.do("PUT", "/v2/r1/manifests/"+d.String(), m); a.status != 201 || a.header.Get("Oci-Subject") != subject.String() {
		t.Fatalf("put: %d %s %v", a.status, a.body, a.header)
	}
	a := f.do("GET", "/v2/r1/referrers/"+subject.String()+"?artifactType=application/sig", "")
	if a.status != 200 || !strings.Contains(a.body, d.String()) || !strings.Contains(a.body, `"annotations":{"a":"b"}`) || a.header.Get("Oci-Filters-Applied") != "artifactType" {
		t.Errorf("referrers: %d %s %v", a.status, a.body, a.header)
	}
	if a := f.do("GET", "/v2/r1/referrers/"+subject.String()+"?artifactType=other", ""); !strings.Contains(a.body, `"manifests":[]`) {
		t.Errorf("filtered: %s", a.body)
	}
}

func TestChunkedUpload(t *testing.T) {
	f := newFixture(t, "web/api")
	a := f.do("POST", "/v2/web/api/blobs/uploads/", "")
	at := a.header.Get("Location")
	if a.status != 202 || at == "" {
		t.Fatalf("start: %d %v", a.status, a.header)
	}
	if a = f.do("PATCH", at, "hello ", "Content-Range: 0-5"); a.status != 202 || a.header.Get("Range") != "0-5" {
		t.Fatalf("first chunk: %d %s %v", a.status, a.body, a.header)
	}
	if a = f.do("PATCH", at, "again ", "Content-Range: 0-5"); a.status != 416 || a.header.Get("Range") != "0-5" {
		t.Errorf("a chunk at the wrong place: %d %v", a.status, a.header)
	}
	if a = f.do("PATCH", at, "x", "Content-Range: 6-9"); a.status != 416 {
		t.Errorf("a range that is not the body's: %d", a.status)
	}
	f.start() // the daemon restarts in the middle
	if a = f.do("GET", at, ""); a.status != 204 || a.header.Get("Range") != "0-5" {
		t.Fatalf("state after the restart: %d %v", a.status, a.header)
	}
	if a = f.do("PATCH", at, "world", "Content-Range: 6-10"); a.status != 202 {
		t.Fatalf("second chunk: %d %s", a.status, a.body)
	}
	d := DigestOf([]byte("hello world"))
	if a = f.do("PUT", at+"?digest="+DigestOf(nil).String(), ""); a.status != 400 || !strings.HasPrefix(a.code(t), "DIGEST_INVALID") {
		t.Errorf("wrong digest: %d %s", a.status, a.body)
	}
	if a = f.do("PUT", at+"?digest="+d.String(), ""); a.status != 201 {
		t.Fatalf("commit: %d %s", a.status, a.body)
	}
	a = f.do("GET", "/v2/web/api/blobs/"+d.String(), "", "Range: bytes=6-")
	if a.status != 206 || a.body != "world" {
		t.Errorf("range: %d %q", a.status, a.body)
	}
	if a = f.do("HEAD", "/v2/web/api/blobs/"+d.String(), ""); a.status != 200 || a.header.Get("Content-Length") != "11" {
		t.Errorf("head: %d %v", a.status, a.header)
	}
	if a = f.do("GET", at, ""); a.status != 404 {
		t.Errorf("upload after its end: %d", a.status)
	}
	other := f.do("POST", "/v2/web/api/blobs/uploads/", "").header.Get("Location")
	if a = f.do("DELETE", other, ""); a.status != 204 {
		t.Errorf("cancel: %d", a.status)
	}
	if a = f.do("PATCH", other, "x"); a.status != 404 {
		t.Errorf("upload after cancel: %d", a.status)
	}
}

func TestMount(t *testing.T) {
	f := newFixture(t, "from", "to")
	d := f.pushBlob("from", "layer")
	if a := f.do("POST", "/v2/to/blobs/uploads/?mount="+d.String()+"&from=from", ""); a.status != 201 {
		t.Errorf("mount: %d %s", a.status, a.body)
	}
	if a := f.do("GET", "/v2/to/blobs/"+d.String(), ""); a.body != "layer" {
		t.Errorf("mounted: %d %q", a.status, a.body)
	}
	if a := f.do("POST", "/v2/to/blobs/uploads/?mount="+DigestOf([]byte("x")).String()+"&from=from", ""); a.status != 202 {
		t.Errorf("mount of what is not there: %d %s", a.status, a.body)
	}
}
