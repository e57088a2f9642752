package registry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/store"
)

func TestCollect(t *testing.T) {
	f := newFixture(t, "a1", "b1")
	blobs := f.registry.Blobs
	keep, _ := f.pushImage("a1", "v1", "kept")
	gone, _ := f.pushImage("a1", "v2", "gone")
	f.pushImage("b1", "v1", "of b")
	if _, err := blobs.Mount("a1", "b1", DigestOf([]byte("gone"))); err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.StartUpload("a1"); err != nil {
		t.Fatal(err)
	}
	if err := f.catalog.DeleteImage(t.Context(), "a1", gone); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	collect := func(at time.Time) Collected {
		t.Helper()
		got, err := blobs.Collect(t.Context(), f.catalog, at)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff(Collected{}, collect(now)); diff != "" {
		t.Errorf("young things were collected (-want +got):\n%s", diff)
	}
	f.update(func(tx *store.Txn) { f.catalog.Tables.Repositories.Delete(tx, "b1") })
	// Of b: its manifest, config and layer, and the mount. Of a, a day later: manifest, config and layer of v2, and the upload.
	if diff := cmp.Diff(Collected{Links: 4, Blobs: 3}, collect(now), ignoreBytes); diff != "" {
		t.Errorf("deleted repository (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Collected{Uploads: 1, Links: 3, Blobs: 3}, collect(now.Add(uploadGrace+time.Minute)), ignoreBytes); diff != "" {
		t.Errorf("a day later (-want +got):\n%s", diff)
	}
	if _, content, err := f.registry.Get(t.Context(), "a1", "v1"); err != nil || DigestOf(content) != keep {
		t.Errorf("the image that stays: %v", err)
	}
	if _, err := blobs.Stat("a1", DigestOf([]byte("kept"))); err != nil {
		t.Errorf("its layer: %v", err)
	}
	if diff := cmp.Diff(Collected{}, collect(now.Add(uploadGrace+time.Minute))); diff != "" {
		t.Errorf("the second time (-want +got):\n%s", diff)
	}
}

var ignoreBytes = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Bytes" }, cmp.Ignore())
