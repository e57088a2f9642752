package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
)

var (
	testScope = model.Scope{Account: "000000000000", Region: "us-east-1"}
	testTime  = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
)

// memCatalog is a catalog in memory.
type memCatalog struct {
	mu     sync.Mutex
	repos  map[string]*model.Repository
	images map[string]*model.Image
}

func newMemCatalog(repos ...string) *memCatalog {
	c := &memCatalog{repos: map[string]*model.Repository{}, images: map[string]*model.Image{}}
	for _, name := range repos {
		c.repos[name] = &model.Repository{Name: name, TagMutability: "MUTABLE"}
	}
	return c
}

func (c *memCatalog) Repository(_ context.Context, name string) (*model.Repository, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.repos[name]; r != nil {
		return r, nil
	}
	return nil, NoRepository(testScope, name)
}

func (c *memCatalog) Repositories(context.Context) ([]*model.Repository, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*model.Repository
	for _, r := range c.repos {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *model.Repository) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func (c *memCatalog) Images(_ context.Context, repo string) ([]*model.Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*model.Image
	for _, img := range c.images {
		if img.Repository == repo {
			all = append(all, img)
		}
	}
	return all, nil
}

func (c *memCatalog) Image(_ context.Context, repo string, d Digest) (*model.Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if img := c.images[model.ImageKey(repo, d.String())]; img != nil {
		return img, nil
	}
	return nil, NoImage(d.String())
}

func (c *memCatalog) Tagged(ctx context.Context, repo, tag string) (*model.Image, error) {
	all, _ := c.Images(ctx, repo)
	for _, img := range all {
		if slices.Contains(img.Tags, tag) {
			return img, nil
		}
	}
	return nil, NoImage(tag)
}

func (c *memCatalog) PutImage(ctx context.Context, img *model.Image, tag string) error {
	if tag != "" {
		if old, err := c.Tagged(ctx, img.Repository, tag); err == nil {
			if c.repos[img.Repository].TagMutability == "IMMUTABLE" {
				return ImmutableTag(img.Repository, tag)
			}
			_ = c.Untag(ctx, img.Repository, tag)
			_ = old
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.images[img.Key()]; old != nil {
		img.Tags = old.Tags
	}
	if tag != "" {
		img.Tags = append(slices.Clone(img.Tags), tag)
	}
	c.images[img.Key()] = img
	return nil
}

func (c *memCatalog) DeleteImage(_ context.Context, repo string, d Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := model.ImageKey(repo, d.String())
	if c.images[key] == nil {
		return NoImage(d.String())
	}
	delete(c.images, key)
	return nil
}

func (c *memCatalog) Untag(ctx context.Context, repo, tag string) error {
	img, err := c.Tagged(ctx, repo, tag)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	edited := *img
	edited.Tags = slices.DeleteFunc(slices.Clone(img.Tags), func(t string) bool { return t == tag })
	c.images[img.Key()] = &edited
	return nil
}

// fixture is a registry that listens on loopback.
type fixture struct {
	t        *testing.T
	dir      string
	registry *Registry
	catalog  *memCatalog
	key      Key
	signer   *LayerSigner
	server   *httptest.Server
	layers   *LayerHandler
	password string
	now      time.Time
}

func newFixture(t *testing.T, repos ...string) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), catalog: newMemCatalog(repos...), now: testTime}
	f.start()
	return f
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
