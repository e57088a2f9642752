package sockets

import (
	"context"
	"io"
	"sync"
)

// Conns tracks the open connections of one server, so that they can be cut, or waited for. The zero value is ready.
type Conns struct {
	mu   sync.Mutex
	open map[io.Closer]struct{}
	cut  bool
	idle []chan struct{} // closed when the last one has gone
}

// Add registers c; it reports false, and closes c, when everything was cut already.
func (s *Conns) Add(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		c.Close()
		return false
	}
	if s.open == nil {
		s.open = map[io.Closer]struct{}{}
	}
	s.open[c] = struct{}{}
	return true
}

// Remove forgets c; its owner has closed it.
func (s *Conns) Remove(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if len(s.open) > 0 {
		return
	}
	for _, done := range s.idle {
		close(done)
	}
	s.idle = nil
}

// Len returns how many are open.
func (s *Conns) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Each calls fn for every connection that is open; fn must not call back.
func (s *Conns) Each(fn func(io.Closer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		fn(c)
	}
}

// Cut closes everything that is open, and all that comes later.
func (s *Conns) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for c := range s.open {
		c.Close()
	}
}

// Wait returns when none is open, or ctx ends.
func (s *Conns) Wait(ctx context.Context) error {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	s.idle = append(s.idle, done)
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
