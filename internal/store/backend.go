package store

import (
	"context"
	"errors"
)

// KV is one key of a back end. Mod is the revision of its last change.
type KV struct {
	Key   string
	Value []byte
	Mod   int64
}

// Event is a change of one key; Mod is the revision of the change, also for a deletion.
type Event struct {
	KV
	Deleted bool
}

// Cond demands that a key was last changed at revision Mod; 0 demands that the key does not exist.
type Cond struct {
	Key string
	Mod int64
}

// Commit is a conditional transaction: if every condition and the fence hold, all puts and deletes happen at one new
// revision, otherwise nothing happens. A key occurs at most once in Puts and Deletes together.
type Commit struct {
	Conds   []Cond
	Fence   *Fence
	Puts    []KV // Mod is not used
	Deletes []string
}

// Result says what became of a Commit.
type Result struct {
	OK bool
	// Revision is the revision of the commit. If it was not done, it is the newest revision of any guard key: whoever
	// has seen that revision has seen everything that made the commit fail.
	Revision int64
	// FenceLost reports that the commit was not done and the fence no longer holds.
	FenceLost bool
}

// Limits is what one Commit may hold.
type Limits struct {
	Ops   int // conditions; and likewise puts and deletes together
	Bytes int // keys and values together
}

// Fence is proof of leadership: a key that exists as long as the leadership lasts, and the revision that made it.
type Fence struct {
	Key    string
	Create int64
}

// ErrCompacted is returned by Backend.Watch if the wanted revisions are no longer kept.
var ErrCompacted = errors.New("store: revision is compacted")

// GuardPrefix starts the keys that tell which tables a commit has written to. Every commit of a DB puts at least one.
const GuardPrefix = "guard/"

// Backend is where the records live durably. Its methods may be called concurrently, and by several DBs at once; it is
// closed by whoever opened it. The conformance suite is storetest.TestBackend.
type Backend interface {
	// Load returns all keys as they are at one revision.
	Load(ctx context.Context) (revision int64, kvs []KV, err error)
	// Commit does a conditional transaction. When it returns OK the change survives a crash. After an error it is
	// not known whether the change happened or still will.
	Commit(ctx context.Context, c Commit) (Result, error)
	// Watch delivers all changes after the given revision in order, and never part of a revision, until ctx ends
	// (then it returns ctx's error), the revision is compacted (ErrCompacted), or something else goes wrong.
	Watch(ctx context.Context, after int64, deliver func(events []Event)) error
	// Lead waits until this process leads under that name, then calls fn with a context that ends when the
	// leadership does, and returns when fn has returned. If leadership can be lost unnoticed, that context carries a Fence.
	Lead(ctx context.Context, name string, fn func(ctx context.Context)) error
	// Limits returns the limits of one Commit.
	Limits() Limits
}

type fenceKey struct{}

// WithFence returns a context under which every Update happens only while the fence holds. Back ends call it in Lead.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, &f)
}

func fenceOf(ctx context.Context) *Fence {
	f, _ := ctx.Value(fenceKey{}).(*Fence)
	return f
}
