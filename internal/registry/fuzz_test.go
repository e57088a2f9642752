package registry

import (
	"testing"
)

func TestParsePath(t *testing.T) {
	tests := map[string]target{
		"/v2/":                                {route: routeBase},
		"/v2":                                 {route: routeBase},
		"/v2/_catalog":                        {route: routeCatalog},
		"/v2/a/tags/list":                     {route: routeTags, repo: "a"},
		"/v2/a/b/c/manifests/v1":              {route: routeManifest, repo: "a/b/c", ref: "v1"},
		"/v2/a/manifests/manifests/v1":        {route: routeManifest, repo: "a/manifests", ref: "v1"},
		"/v2/a/blobs/sha256:00":               {route: routeBlob, repo: "a", ref: "sha256:00"},
		"/v2/a/blobs/uploads/":                {route: routeUploads, repo: "a"},
		"/v2/a/blobs/uploads":                 {route: routeUploads, repo: "a"},
		"/v2/a/b/blobs/uploads/1":             {route: routeUpload, repo: "a/b", ref: "1"},
		"/v2/a/referrers/sha256:0":            {route: routeReferrers, repo: "a", ref: "sha256:0"},
		"/v2/manifests/v1":                    {},
		"/v2/a":                               {},
		"/v1/a/tags/list":                     {},
		"/v2/a/manifests/blobs/uploads/1":     {route: routeUpload, repo: "a/manifests", ref: "1"},
		"/v2/blobs/uploads/manifests/v1":      {route: routeManifest, repo: "blobs/uploads", ref: "v1"},
		"/v2/uploads/blobs/uploads/tags/list": {route: routeTags, repo: "uploads/blobs/uploads"},
	}
	for path, want := range tests {
		if got := parsePath(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

func TestIsRepositoryName(t *testing.T) {
	for name, want := range map[string]bool{"ab": true, "a": false, "a/b": true, "web-api_x.y/z": true, "-a": false, "a//b": false, "a/": false, "../x": false,
		"A": false, "a..b": false, "a/../b": false, "a%b": false} {
		if got := IsRepositoryName(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/v2/", "/v2/a/b/manifests/v1", "/v2/a/blobs/uploads/1", "/v2/a/blobs/uploads/", "/v2//manifests/", "/v2/_catalog"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got := parsePath(path)
		if got.route == routeManifest && IsRepositoryName(got.repo) && parsePath("/v2/"+got.repo+"/manifests/"+got.ref) != got {
			t.Errorf("%q does not read the same again: %+v", path, got)
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(MediaTypeOCIManifest, []byte(`{"schemaVersion":2,"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}`))
	f.Add("", []byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Add(MediaTypeDockerManifest, []byte(`{"schemaVersion":2,"config":null}`))
	f.Fuzz(func(t *testing.T, mediaType string, content []byte) {
		m, err := DecodeManifest(mediaType, content)
		if err != nil {
			return
		}
		blobs, manifests := m.needed()
		if m.IsIndex() && len(blobs) > 0 || !m.IsIndex() && len(manifests) > 0 {
			t.Errorf("an index needs %v, an image needs %v", blobs, manifests)
		}
		for _, d := range append(blobs, manifests...) {
			if _, ok := ParseDigest(d.String()); !ok {
				t.Errorf("digest %q was let through", d)
			}
		}
	})
}

func FuzzLayerPath(f *testing.F) {
	s := &LayerSigner{Key: make(Key, keySize), Scope: testScope}
	f.Add("some content", "web/api")
	f.Fuzz(func(t *testing.T, content, repo string) {
		d := DigestOf([]byte(content))
		m := layerPath.FindStringSubmatch(s.path(repo, d))
		if m == nil {
			t.Fatalf("path %s is not one", s.path(repo, d))
		}
	})
}
