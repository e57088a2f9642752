package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/content"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/images"
	"github.com/containerd/containerd/leases"
	"github.com/containerd/containerd/rootfs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

const (
	parallelFetches = 3 // per image, as containerd does
	maxConfigSize   = 8 << 20
	leaseExpiry     = time.Hour // of an import whose daemon died
)

// imageInfo is what starting a container needs to know of an image; it never changes for a digest.
type imageInfo struct {
	container.Image
	chainID string
	users   users
}

type imageCache struct {
	mu    sync.Mutex
	known map[string]*imageInfo
	busy  map[string]*busyKey
}

type busyKey struct {
	sync.Mutex
	waiting int
}

// lock makes work on the same content wait for each other; different content goes in parallel.
func (c *imageCache) lock(key string) (unlock func()) {
	c.mu.Lock()
	if c.busy == nil {
		c.busy = map[string]*busyKey{}
	}
	b := c.busy[key]
	if b == nil {
		b = &busyKey{}
		c.busy[key] = b
	}
	b.waiting++
	c.mu.Unlock()
	b.Lock()
	return func() {
		b.Unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		if b.waiting--; b.waiting == 0 {
			delete(c.busy, key)
		}
	}
}

func (c *imageCache) get(digest string) *imageInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[digest]
}

func (c *imageCache) put(digest string, i *imageInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]*imageInfo{}
	}
	if i == nil {
		delete(c.known, digest)
		return
	}
	c.known[digest] = i
}

// Import fetches what is missing of the image and unpacks it.
func (r *Runtime) Import(ctx context.Context, m container.Manifest, fetch container.Fetch) (container.Image, error) {
	if i := r.images.get(m.Digest); i != nil {
		return i.Image, nil
	}
	ctx = r.context(ctx)
	defer r.images.lock(m.Digest)()
	if i, err := r.image(ctx, m.Digest); err == nil {
		return i.Image, nil
	} else if !fault.IsNotFound(err) {
		return container.Image{}, err
	}
	if got := digest.FromBytes(m.Raw); got.String() != m.Digest {
		return container.Image{}, fault.NewInvalid("image", "manifest has digest %s, not %s", got, m.Digest)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &manifest); err != nil {
		return container.Image{}, fmt.Errorf("decode manifest: %w", err)
	}
	lease, err := r.client.LeasesService().Create(ctx, leases.WithRandomID(), leases.WithExpiration(leaseExpiry))
	if err != nil {
		return container.Image{}, fmt.Errorf("make lease: %w", err)
	}
	defer func() {
		clean := context.WithoutCancel(ctx)
		if err := r.client.LeasesService().Delete(clean, lease); err != nil {
			r.log.WarnContext(clean, "delete lease of an import", "lease", lease.ID, "error", err)
		}
	}()
	ctx = leases.WithLease(ctx, lease.ID)
	if err := r.fetchAll(ctx, manifest, fetch); err != nil {
		return container.Image{}, err
	}
	if err := r.unpack(ctx, m, manifest); err != nil {
		return container.Image{}, err
	}
	info, err := r.loadImage(ctx, m.Digest)
	if err != nil {
		return container.Image{}, err
	}
	return info.Image, nil
}

func (r *Runtime) fetchAll(ctx context.Context, manifest ocispec.Manifest, fetch container.Fetch) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelFetches)
	for _, d := range append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...) {
		g.Go(func() error { return r.fetchBlob(ctx, d, fetch) })
	}
	return g.Wait()
}

// fetchBlob puts one piece of content into containerd's store, unless it is there. Images that share a layer fetch it
// one after the other, so the second one finds it.
func (r *Runtime) fetchBlob(ctx context.Context, d ocispec.Descriptor, fetch container.Fetch) error {
	defer r.images.lock(d.Digest.String())()
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("descriptor: %w", err)
	}
	store := r.client.ContentStore()
	if _, err := store.Info(ctx, d.Digest); err == nil {
		return r.hold(ctx, d.Digest)
	} else if !errdefs.IsNotFound(err) {
		return fmt.Errorf("look up content: %w", err)
	}
	ref := "neargate-" + d.Digest.String()
	_ = store.Abort(ctx, ref) // of a daemon that died while writing
	body, err := fetch(ctx, container.Descriptor{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size})
	if err != nil {
		return err
	}
	defer body.Close()
	if err := content.WriteBlob(ctx, store, ref, &exactReader{r: body, want: d.Size}, d); err != nil {
		_ = store.Abort(context.WithoutCancel(ctx), ref)
		return fmt.Errorf("failed to copy: %w", err) // containerd's own words, which AWS shows
	}
	return nil
}

// hold adds content that is there to the lease of ctx, so it is not collected before the image names it.
func (r *Runtime) hold(ctx context.Context, d digest.Digest) error {
	id, ok := leases.FromContext(ctx)
	if !ok {
		return nil
	}
	err := r.client.LeasesService().AddResource(ctx, leases.Lease{ID: id}, leases.Resource{ID: d.String(), Type: "content"})
	if err != nil {
		return fmt.Errorf("hold content: %w", err)
	}
	return nil
}

// unpack turns the layers into snapshots and names the image.
func (r *Runtime) unpack(ctx context.Context, m container.Manifest, manifest ocispec.Manifest) error {
	config, err := r.readConfig(ctx, manifest.Config)
	if err != nil {
		return err
	}
	diffs := config.RootFS.DiffIDs
	if len(diffs) != len(manifest.Layers) {
		return fault.NewInvalid("image", "image has %d layers and %d diff ids", len(manifest.Layers), len(diffs))
	}
	var layers []rootfs.Layer
	for i, blob := range manifest.Layers {
		layers = append(layers, rootfs.Layer{
			Blob: blob, Diff: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffs[i]},
		})
	}
	chain := identity.ChainID(diffs).String()
	if len(layers) > 0 {
		if _, err := rootfs.ApplyLayers(ctx, layers, r.client.SnapshotService(snapshotter), r.client.DiffService()); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
	}
	// Labels are what containerd's garbage collector follows: image -> manifest -> configuration, layers, snapshots.
	labels := map[string]string{"containerd.io/gc.ref.content.config": manifest.Config.Digest.String()}
	for i, l := range manifest.Layers {
		labels[fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = l.Digest.String()
	}
	if chain != "" {
		labels["containerd.io/gc.ref.snapshot."+snapshotter] = chain
	}
	desc := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.Digest(m.Digest), Size: int64(len(m.Raw))}
	err = content.WriteBlob(ctx, r.client.ContentStore(), "neargate-"+m.Digest, strings.NewReader(string(m.Raw)), desc, content.WithLabels(labels))
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	_, err = r.client.ImageService().Create(ctx, images.Image{Name: m.Digest, Target: desc})
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return fmt.Errorf("name image: %w", err)
	}
	return nil
}

func (r *Runtime) readConfig(ctx context.Context, d ocispec.Descriptor) (ocispec.Image, error) {
	var config ocispec.Image
	if d.Size > maxConfigSize {
		return config, fault.NewInvalid("image", "image configuration of %d bytes is too large", d.Size)
	}
	raw, err := content.ReadBlob(ctx, r.client.ContentStore(), d)
	if err != nil {
		return config, fmt.Errorf("read image configuration: %w", err)
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return config, fmt.Errorf("decode image configuration: %w", err)
	}
	return config, nil
}

// image returns what is known of an imported image.
func (r *Runtime) image(ctx context.Context, digest string) (*imageInfo, error) {
	if i := r.images.get(digest); i != nil {
		return i, nil
	}
	return r.loadImage(ctx, digest)
}

func (r *Runtime) loadImage(ctx context.Context, digest string) (*imageInfo, error) {
	named, err := r.client.ImageService().Get(ctx, digest)
	if errdefs.IsNotFound(err) {
		return nil, fault.NewNotFound("image", digest)
	} else if err != nil {
		return nil, fmt.Errorf("look up image: %w", err)
	}
	raw, err := content.ReadBlob(ctx, r.client.ContentStore(), named.Target)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, fmt.Errorf("decode manifest: %w", err)
	}
	config, err := r.readConfig(ctx, manifest.Config)
	if err != nil {
		return nil, err
	}
	info := &imageInfo{
		chainID: identity.ChainID(config.RootFS.DiffIDs).String(),
		Image: container.Image{
			Digest: digest, ConfigDigest: manifest.Config.Digest.String(), Size: int64(len(raw)) + manifest.Config.Size,
			OS: config.OS, Architecture: config.Architecture, ImportedAt: named.CreatedAt,
			Entrypoint: config.Config.Entrypoint, Command: config.Config.Cmd, Env: config.Config.Env, User: config.Config.User,
			WorkDir: config.Config.WorkingDir, StopSignal: config.Config.StopSignal,
		},
	}
	for v := range config.Config.Volumes {
		info.Volumes = append(info.Volumes, v)
	}
	for _, l := range manifest.Layers {
		info.Size += l.Size
	}
	if info.users, err = r.readUsers(ctx, info.chainID); err != nil {
		return nil, err
	}
	r.images.put(digest, info)
	return info, nil
}

// Image returns an imported image.
func (r *Runtime) Image(ctx context.Context, digest string) (container.Image, error) {
	info, err := r.image(r.context(ctx), digest)
	if err != nil {
		return container.Image{}, err
	}
	return info.Image, nil
}

// Images returns all imported images; one that is damaged is left out and logged.
func (r *Runtime) Images(ctx context.Context) ([]container.Image, error) {
	ctx = r.context(ctx)
	list, err := r.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var out []container.Image
	for _, named := range list {
		info, err := r.image(ctx, named.Name)
		if err != nil {
			r.log.WarnContext(ctx, "read image", "image", named.Name, "error", err)
			continue
		}
		out = append(out, info.Image)
	}
	return out, nil
}

// DeleteImage forgets the image; its content is collected when no other image shares it.
func (r *Runtime) DeleteImage(ctx context.Context, digest string) error {
	defer r.images.lock(digest)()
	r.images.put(digest, nil)
	err := r.client.ImageService().Delete(r.context(ctx), digest, images.SynchronousDelete())
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete image: %w", err)
	}
	return nil
}

// exactReader makes content that ends early an error that says so.
type exactReader struct {
	r    io.Reader
	want int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.want -= int64(n)
	if errors.Is(err, io.EOF) && e.want > 0 {
		return n, fmt.Errorf("httpReadSeeker: content ended %d bytes too early: %w", e.want, io.ErrUnexpectedEOF)
	}
	return n, err
}
