package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/neargate/neargate/internal/container"
)

// BenchmarkStart is from nothing to a running process, one container per group; the image is there.
func BenchmarkStart(b *testing.B) {
	_, r, setup := instance(b)
	if _, err := r.Import(b.Context(), setup.Image.Manifest, setup.Image.Fetch); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for _, parallel := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("parallel-%d", parallel), func(b *testing.B) {
			var wg sync.WaitGroup
			gate := make(chan struct{}, parallel)
			ids := make([]string, b.N)
			for i := range b.N {
				gate <- struct{}{}
				wg.Go(func() {
					defer func() { <-gate }()
					id := fmt.Sprintf("b%d-%d", parallel, i)
					ids[i] = id
					s := setup.Spec(container.Spec{ID: id, Group: id, Image: setup.Image.Manifest.Digest, Command: []string{"sleep"}, LogPath: filepath.Join(dir, id)})
					if err := r.Create(b.Context(), s); err != nil {
						b.Error(err)
						return
					}
					if err := r.Start(b.Context(), id); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			for _, id := range ids {
				_ = r.Delete(context.Background(), id)
			}
		})
	}
}
