package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync"
	"syscall"

	"github.com/neargate/neargate/internal/linux/netns"
)

// object is what every kind's configuration can tell about itself.
type object interface {
	identity() string
	namespaces() []string // where its sockets are
	Validate() error
}

func (r Resolver) identity() string           { return r.ID }
func (t Task) identity() string               { return t.ID }
func (l LoadBalancerChecks) identity() string { return l.ID }
func (d Door) identity() string               { return d.ID }
func (e Endpoint) identity() string           { return e.ID }

func (r Resolver) namespaces() []string           { return []string{r.Netns} }
func (l LoadBalancerChecks) namespaces() []string { return []string{l.Netns} }
func (d Door) namespaces() []string               { return []string{d.Netns} }
func (e Endpoint) namespaces() []string           { return []string{e.Netns} }
func (t Task) namespaces() []string {
	if t.MetadataNetns == "" {
		return []string{t.Netns}
	}
	return []string{t.Netns, t.MetadataNetns}
}

// running is an object at work.
type running[S object] interface {
	// update changes what it does with as little disturbance as possible. After an error it is stopped and started anew.
	update(S) error
	// pause gives up its sockets and writes down what the next process needs; connections that are open go on.
	pause()
	// remove ends everything at once.
	remove()
}

// shelf holds the objects of one kind: on disk, and at work. What does not work is tried again by retry.
type shelf[S object] struct {
	kind  Kind
	disk  *disk
	board *board
	log   *slog.Logger
	start func(S) (running[S], error)
	// forget removes what objects leave on disk; it is called after remove, and for objects that were not at work.
	forget func(id string)

	mu     sync.Mutex
	paused bool
	items  map[string]*item[S]
}

// item is one object. Its own lock is held while it is changed, so that a slow one holds up no other.
type item[S object] struct {
	mu    sync.Mutex
	spec  S
	run   running[S]
	place string // the namespaces that it was started in
	gone  bool
}

func newShelf[S object](kind Kind, d *disk, b *board, log *slog.Logger, start func(S) (running[S], error)) *shelf[S] {
	return &shelf[S]{
		kind: kind, disk: d, board: b, log: log, start: start, forget: func(string) {}, items: map[string]*item[S]{}, paused: true,
	}
}

var errPaused = errors.New("the keeper is being replaced; ask its successor")

// put remembers the object and makes it so.
func (s *shelf[S]) put(spec S) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	id := spec.identity()
	data, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	it, err := s.lockItem(id)
	if err != nil {
		return err
	}
	defer it.mu.Unlock()
	if err := s.disk.save(s.kind, id, data); err != nil {
		return err
	}
	return s.apply(it, spec)
}

// lockItem returns the item with that id, locked; a new one if there is none.
func (s *shelf[S]) lockItem(id string) (*item[S], error) {
	for {
		s.mu.Lock()
		if s.paused {
			s.mu.Unlock()
			return nil, errPaused
		}
		it, ok := s.items[id]
		if !ok {
			it = &item[S]{}
			s.items[id] = it
		}
		s.mu.Unlock()
		it.mu.Lock()
		if !it.gone {
			return it, nil
		}
		it.mu.Unlock() // deleted while we waited for it
	}
}

// apply brings a locked item to spec.
func (s *shelf[S]) apply(it *item[S], spec S) error {
	id := spec.identity()
	place, err := placeOf(spec.namespaces())
	if it.run != nil && err == nil && place == it.place {
		if reflect.DeepEqual(it.spec, spec) {
			return nil
		}
		uerr := it.run.update(spec)
		if uerr == nil {
			it.spec = spec
			return nil
		}
		s.log.Warn("change failed, starting anew", "kind", s.kind, "id", id, "error", uerr)
	}
	if it.run != nil {
		it.run.pause() // what it has on disk stays: log offsets and health go on
		it.run = nil
	}
	it.spec, it.place = spec, place
	if err == nil {
		it.run, err = s.start(spec)
	}
	s.board.setFault(s.kind, id, err)
	return err
}

// placeOf returns which namespaces the names stand for now: one that was deleted and made again has the same name, and
// none of our sockets.
func placeOf(names []string) (string, error) {
	var place []byte
	for _, name := range names {
		var st syscall.Stat_t
		if err := syscall.Stat(netns.Path(name), &st); err != nil {
			return "", fmt.Errorf("namespace %s: %w", name, err)
		}
		place = fmt.Appendf(place, "%s:%d ", name, st.Ino)
	}
	return string(place), nil
}

// delete forgets the object and ends what it does.
func (s *shelf[S]) delete(id string) error {
	s.mu.Lock()
	if s.paused {
		s.mu.Unlock()
		return errPaused
	}
	it, ok := s.items[id]
	s.mu.Unlock()
	if !ok {
		return s.disk.remove(s.kind, id)
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.gone {
		return nil
	}
	if err := s.disk.remove(s.kind, id); err != nil {
		return err
	}
	if it.run != nil {
		it.run.remove()
		it.run = nil
	}
	s.forget(id)
	it.gone = true
	s.mu.Lock()
	delete(s.items, id)
	s.mu.Unlock()
	s.board.setFault(s.kind, id, nil)
	return nil
}

// restore starts what the journal says. Whatever fails is tried again by retry.
func (s *shelf[S]) restore(objects []json.RawMessage) {
	s.thaw()
	for _, object := range objects {
		var spec S
		if err := json.Unmarshal(object, &spec); err != nil {
			s.log.Warn("left out a broken object", "kind", s.kind, "error", err)
			continue
		}
		id := spec.identity()
		if err := spec.Validate(); err != nil {
			s.log.Warn("left out a broken object", "kind", s.kind, "id", id, "error", err)
			continue
		}
		it, err := s.lockItem(id)
		if err != nil {
			return
		}
		if err := s.apply(it, spec); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("restore", "kind", s.kind, "id", id, "error", err)
		}
		it.mu.Unlock()
	}
}

// retry starts what is not at work, or is at work in a namespace that is no more.
func (s *shelf[S]) retry() {
	for _, id := range s.board.faulty(s.kind) {
		s.mu.Lock()
		it, ok := s.items[id]
		paused := s.paused
		s.mu.Unlock()
		if !ok || paused {
			continue
		}
		it.mu.Lock()
		if !it.gone && it.run == nil {
			_ = s.apply(it, it.spec)
		}
		it.mu.Unlock()
	}
}

// checkPlaces starts anew what is at work in a namespace that is no more: one that was made again, for whoever asked for it
// sees no reason to ask again; or one that is gone, which our sockets would keep alive without a name.
func (s *shelf[S]) checkPlaces() {
	s.mu.Lock()
	items := slices.Collect(maps.Values(s.items))
	if s.paused {
		items = nil
	}
	s.mu.Unlock()
	for _, it := range items {
		it.mu.Lock()
		if place, err := placeOf(it.spec.namespaces()); !it.gone && it.run != nil && (err != nil || place != it.place) {
			_ = s.apply(it, it.spec)
		}
		it.mu.Unlock()
	}
}

// freeze refuses changes until thaw or restore, and waits for those under way.
func (s *shelf[S]) freeze() {
	s.mu.Lock()
	s.paused = true
	items := slices.Collect(maps.Values(s.items))
	s.mu.Unlock()
	for _, it := range items {
		it.mu.Lock()
		it.mu.Unlock() //lint:ignore SA2001 whoever had the lock has now finished
	}
}

// thaw takes changes again.
func (s *shelf[S]) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = false
}

// pause stops all objects so that another process can go on with them. After it, changes are refused until restore.
func (s *shelf[S]) pause() {
	s.mu.Lock()
	s.paused = true
	items := slices.Collect(maps.Values(s.items))
	clear(s.items)
	s.mu.Unlock()
	for _, it := range items {
		it.mu.Lock()
		if it.run != nil {
			it.run.pause()
			it.run = nil
		}
		it.gone = true
		it.mu.Unlock()
	}
}

// ids returns what is held, sorted.
func (s *shelf[S]) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.items))
	for id := range s.items {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// each calls fn for every object at work.
func (s *shelf[S]) each(fn func(id string, run running[S])) {
	for _, id := range s.ids() {
		if run := s.get(id); run != nil {
			fn(id, run)
		}
	}
}

// get returns the object at work, nil if there is none.
func (s *shelf[S]) get(id string) running[S] {
	s.mu.Lock()
	it := s.items[id]
	s.mu.Unlock()
	if it == nil {
		return nil
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.run
}
