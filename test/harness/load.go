package harness

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Load sends requests at a fixed rate: a request is begun when its time has come, whether or not the ones before it
// are done, as the world's requests are. A server that stops shows as failures and not as fewer requests.
type Load struct {
	URL     string
	From    string
	Rate    int           // requests per second
	Timeout time.Duration // of one request

	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	result Result
}

// Result is what came of a load.
type Result struct {
	Requests int
	Statuses map[int]int
	Failures map[string]int // by reason: errors, and statuses that are not 2xx
	Bodies   map[string]int // first line of the answers
	Slowest  time.Duration
	First    time.Time // of the failures
	Last     time.Time
}

// Failed is the number of failures.
func (r Result) Failed() int {
	n := 0
	for _, count := range r.Failures {
		n += count
	}
	return n
}

func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "requests %d, failures %d, slowest %v\n", r.Requests, r.Failed(), r.Slowest.Round(time.Millisecond))
	for _, s := range slices.Sorted(maps.Keys(r.Statuses)) {
		fmt.Fprintf(&b, "status %d: %d\n", s, r.Statuses[s])
	}
	for _, why := range slices.Sorted(maps.Keys(r.Failures)) {
		fmt.Fprintf(&b, "failure %q: %d\n", why, r.Failures[why])
	}
	if r.Failed() > 0 {
		fmt.Fprintf(&b, "failures from %s to %s\n", r.First.Format(time.TimeOnly+".000"), r.Last.Format(time.TimeOnly+".000"))
	}
	for _, line := range slices.Sorted(maps.Keys(r.Bodies)) {
		fmt.Fprintf(&b, "answer %q: %d\n", line, r.Bodies[line])
	}
	return b.String()
}

// Start begins. Names are looked up once, now: the daemon may be killed later.
func (l *Load) Start(d *Daemon) error {
	req, err := http.NewRequest(http.MethodGet, l.URL, nil)
	if err != nil {
		return err
	}
	addresses, err := d.Address(context.Background(), hostport(req))
	if err != nil {
		return err
	}
	if l.Timeout == 0 {
		l.Timeout = 5 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan struct{})
	l.result = Result{Statuses: map[int]int{}, Failures: map[string]int{}, Bodies: map[string]int{}}
	client := Client(l.From, addresses, l.Timeout, l.Rate)
	go func() {
		defer close(l.done)
		defer client.CloseIdleConnections()
		var inFlight sync.WaitGroup
		defer inFlight.Wait()
		began := time.Now()
		for n := 0; ; n++ {
			due := began.Add(time.Duration(n) * time.Second / time.Duration(l.Rate))
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(due)):
			}
			inFlight.Go(func() { l.one(client) })
		}
	}()
	return nil
}

// one sends a request. Its context is not the load's: stopping waits for the answers that are on their way.
func (l *Load) one(client *http.Client) {
	began := time.Now()
	status, line, err := fetchLine(client, l.URL)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.result
	r.Requests++
	r.Slowest = max(r.Slowest, took)
	why := ""
	if err != nil {
		why = err.Error()
	} else {
		r.Statuses[status]++
		if status < 200 || status > 299 {
			why = fmt.Sprintf("status %d", status)
		} else if len(r.Bodies) < 50 {
			r.Bodies[line]++
		}
	}
	if why != "" {
		r.Failures[why]++
		r.Last = time.Now()
		if r.First.IsZero() {
			r.First = r.Last
		}
	}
}

func fetchLine(client *http.Client, url string) (int, string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	line, _, _ := strings.Cut(string(body), "\n")
	return resp.StatusCode, line, err
}

// Stop ends the load, waits for the last answers and returns what came of it.
func (l *Load) Stop() Result {
	l.cancel()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.result
}
