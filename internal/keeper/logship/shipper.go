package logship

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/dns"
)

// Options of a Shipper.
type Options struct {
	// Linger is how long output waits for more before it is sent; a second if zero.
	Linger time.Duration
	// Settle is how long the last event of a multiline log waits for further lines; five seconds if zero, as in the
	// awslogs driver.
	Settle time.Duration
	// Parallel is how many batches are on their way at once, over all logs whose last batch arrived; it bounds memory. 6
	// if zero. As many again are there for the other logs, so that tasks without a network hold up nobody else.
	Parallel int
	Logger   *slog.Logger
}

// Shipper ships any number of logs.
type Shipper struct {
	o        Options
	proven   slots
	unproven slots
	buffers  sync.Pool
	watch    *watcher

	mu    sync.Mutex
	pools map[string]*x509.CertPool // by PEM: most tasks trust the same authority
}

// batchBuffers are the memory of one batch on its way, at most some 2.5 MiB.
type batchBuffers struct{ data, body []byte }

// slots bound how many batches are on their way.
type slots chan struct{}

// acquire takes a slot; it reports false when ctx ended first.
func (s slots) acquire(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) release() { <-s }

// NewShipper returns a shipper without logs.
func NewShipper(o Options) (*Shipper, error) {
	if o.Linger == 0 {
		o.Linger = time.Second
	}
	if o.Settle == 0 {
		o.Settle = 5 * time.Second
	}
	if o.Parallel == 0 {
		o.Parallel = 6
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w, err := newWatcher()
	if err != nil {
		return nil, err
	}
	s := &Shipper{o: o, proven: make(slots, o.Parallel), unproven: make(slots, o.Parallel), watch: w, pools: map[string]*x509.CertPool{}}
	s.buffers.New = func() any { return new(batchBuffers) }
	return s, nil
}

// Close ends the watching. Close the logs before.
func (s *Shipper) Close() { s.watch.close() }

// Open starts shipping one log. The state file says how far it has got, and is made if there is none; dial connects
// from inside the task's namespace.
func (s *Shipper) Open(cfg Config, statePath string, dial dns.DialFunc) (*Log, error) {
	l := &Log{
		shipper: s, dial: dial, state: statePath, log: s.o.Logger, wake: make(chan struct{}, 1), done: make(chan struct{}),
		moved: make(chan struct{}), held: -1,
	}
	if err := l.Set(cfg); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(statePath), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of spool state: %w", err)
	}
	var err error
	if l.spool, err = openSpool(cfg.Spool, statePath); err != nil {
		return nil, err
	}
	if err := s.watch.add(cfg.Spool, l); err != nil {
		l.spool.close()
		return nil, err
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	go l.run()
	return l, nil
}

func (s *Shipper) unwatch(l *Log) { s.watch.remove(l) }

func (s *Shipper) slots(proven bool) slots {
	if proven {
		return s.proven
	}
	return s.unproven
}

// buffer returns memory for a batch that reads size bytes.
func (s *Shipper) buffer(size int) *batchBuffers {
	b := s.buffers.Get().(*batchBuffers)
	if cap(b.data) < size {
		b.data = make([]byte, size)
	}
	b.data = b.data[:size]
	return b
}

func (s *Shipper) recycle(b *batchBuffers) { s.buffers.Put(b) }

// pool returns the certificates of a PEM bundle.
func (s *Shipper) pool(pem string) (*x509.CertPool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.pools[pem]; ok {
		return p, nil
	}
	p, err := parsePool(pem)
	if err != nil {
		return nil, err
	}
	if len(s.pools) > 16 { // authorities are renewed now and then
		clear(s.pools)
	}
	s.pools[pem] = p
	return p, nil
}

// RemoveState removes what Open left at statePath, of a log that is not open.
func RemoveState(statePath string) error {
	if err := os.Remove(statePath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove spool state: %w", err)
	}
	return nil
}
