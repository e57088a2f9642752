package registry

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var (
	testScope = model.Scope{Account: "000000000000", Region: "us-east-1"}
	testTime  = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
)

// fixture is a registry that listens on loopback.
type fixture struct {
	t        *testing.T
	dir      string
	registry *Registry
	catalog  *Records
	key      Key
	signer   *LayerSigner
	server   *httptest.Server
	layers   *LayerHandler
	password string
	now      time.Time
}

func newFixture(t *testing.T, repos ...string) *fixture {
	t.Helper()
	db, tables := storetest.New(t)
	f := &fixture{t: t, dir: t.TempDir(), catalog: &Records{DB: db, Tables: tables, Scope: testScope}, now: testTime}
	for _, name := range repos {
		f.update(func(tx *store.Txn) {
			tables.Repositories.Put(tx, &model.Repository{Name: name, TagMutability: Mutable})
		})
	}
	f.start()
	return f
}

// update changes records.
func (f *fixture) update(change func(tx *store.Txn)) {
	f.t.Helper()
	if err := f.catalog.DB.Update(f.t.Context(), func(tx *store.Txn) error {
		change(tx)
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
}

// start opens the registry on its folder, again if it was open before: the daemon's restart.
func (f *fixture) start() {
	f.t.Helper()
	blobs, err := OpenBlobs(filepath.Join(f.dir, "registry"))
	if err != nil {
		f.t.Fatal(err)
	}
	if f.key, err = LoadKey(filepath.Join(f.dir, "key")); err != nil {
		f.t.Fatal(err)
	}
	c := clock.Fixed(f.now)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	f.registry = &Registry{Blobs: blobs, Catalog: f.catalog, Clock: c, Scope: testScope}
	f.signer = &LayerSigner{Key: f.key, Scope: testScope, Clock: c}
	f.layers = &LayerHandler{Blobs: blobs, Signer: f.signer, Log: log}
	handler := &Handler{Registry: f.registry, Key: f.key, Signer: f.signer, Log: log}
	f.server = httptest.NewServer(handler)
	f.t.Cleanup(f.server.Close)
	f.password, _ = f.key.Password("arn:aws:iam::000000000000:root", f.now)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	var e struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || len(e.Errors) != 1 {
		t.Fatalf("not an error of the distribution API: %d %q", a.status, a.body)
	}
	return e.Errors[0].Code + ": " + e.Errors[0].Message
}

// do sends a request with the password; headers are "Name: value".
func (f *fixture) do(method, path, body string, headers ...string) answer {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.SetBasicAuth(user, f.password)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "" {
			continue
		}
		if name == "Host" {
			req.Host = value
		}
		if name == "Authorization" && value == "none" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
}

// pushBlob uploads a blob in one request and returns its digest.
func (f *fixture) pushBlob(repo, content string) Digest {
	f.t.Helper()
	d := DigestOf([]byte(content))
	if a := f.do(http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), content); a.status != http.StatusCreated {
		f.t.Fatalf("push blob: %d %s", a.status, a.body)
	}
	return d
}

// pushImage pushes an image of one layer and returns its digest.
func (f *fixture) pushImage(repo, tag, layer string) (Digest, []byte) {
	f.t.Helper()
	config, l := f.pushBlob(repo, `{"for":"`+layer+`"}`), f.pushBlob(repo, layer)
	m, err := json.Marshal(Manifest{SchemaVersion: 2, MediaType: MediaTypeOCIManifest,
		Config: &Descriptor{MediaType: "application/vnd.oci.image.config.v1+json", Digest: config, Size: int64(len(`{"for":"` + layer + `"}`))},
		Layers: []Descriptor{{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: l, Size: int64(len(layer))}}})
	if err != nil {
		f.t.Fatal(err)
	}
	if a := f.do(http.MethodPut, "/v2/"+repo+"/manifests/"+tag, string(m), "Content-Type: "+MediaTypeOCIManifest); a.status != http.StatusCreated {
		f.t.Fatalf("push manifest: %d %s", a.status, a.body)
	}
	return DigestOf(m), m
}
