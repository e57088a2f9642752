package keeper

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Protocol is the version of the control socket that this binary speaks. A keeper of another version is replaced.
const Protocol = 1

// Client talks to the keeper of this host. It is safe for concurrent use. Every call is idempotent: after an error, repeat it.
type Client struct {
	http *http.Client
}

// NewClient returns a client of the keeper that listens on the socket; it does not connect yet.
func NewClient(socket string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}}}
}

// Close releases idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Info tells which keeper answers.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var out Info
	return out, c.do(ctx, http.MethodGet, "/v1/info", nil, &out)
}

// Put makes all the objects so and remembers them. Objects that are held already are changed with the least disturbance:
// listeners stay open, health and log offsets are kept. When Put returns without an error, all of them work; an object that
// could not be made so is remembered and tried again all the same, and is part of the error (an [*ApplyError]).
func (c *Client) Put(ctx context.Context, b Batch) error {
	var out applyResult
	if err := c.do(ctx, http.MethodPut, "/v1/objects", b, &out); err != nil {
		return err
	}
	if len(out.Faults) > 0 {
		return &ApplyError{Faults: out.Faults}
	}
	return nil
}

// PutResolver puts one resolver.
func (c *Client) PutResolver(ctx context.Context, r Resolver) error {
	return c.Put(ctx, Batch{Resolvers: []Resolver{r}})
}

// PutTask puts one task.
func (c *Client) PutTask(ctx context.Context, t Task) error {
	return c.Put(ctx, Batch{Tasks: []Task{t}})
}

// PutLoadBalancer puts the checks of one load balancer.
func (c *Client) PutLoadBalancer(ctx context.Context, l LoadBalancerChecks) error {
	return c.Put(ctx, Batch{LoadBalancers: []LoadBalancerChecks{l}})
}

// PutDoor puts one front door.
func (c *Client) PutDoor(ctx context.Context, d Door) error {
	return c.Put(ctx, Batch{Doors: []Door{d}})
}

// PutEndpoint puts one service endpoint.
func (c *Client) PutEndpoint(ctx context.Context, e Endpoint) error {
	return c.Put(ctx, Batch{Endpoints: []Endpoint{e}})
}

// Delete forgets an object, stops what it does and removes its files. Deleting what is not held is no error. Unsent
// output of a task is lost: call DrainTask before.
func (c *Client) Delete(ctx context.Context, kind Kind, id string) error {
	return c.do(ctx, http.MethodDelete, "/v1/objects/"+string(kind)+"/"+url.PathEscape(id), nil, nil)
}

// DrainTask waits until everything that the task's containers have written is sent, at most for the timeout. Call it
// when the last container has ended and its shim has closed the spool, before the task's network goes. Logs go on
// being tried after a timeout, until Delete.
func (c *Client) DrainTask(ctx context.Context, id string, timeout time.Duration) (DrainResult, error) {
	var out DrainResult
	path := "/v1/tasks/" + url.PathEscape(id) + "/drain?timeout=" + url.QueryEscape(timeout.String())
	return out, c.do(ctx, http.MethodPost, path, nil, &out)
}

// List returns what the keeper holds.
func (c *Client) List(ctx context.Context) (Inventory, error) {
	out := Inventory{}
	return out, c.do(ctx, http.MethodGet, "/v1/objects", nil, &out)
}

// Prune deletes every object of the kind whose id is not in keep. Call it only with the full list loaded.
func (c *Client) Prune(ctx context.Context, kind Kind, keep []string) error {
	held, err := c.List(ctx)
	if err != nil {
		return err
	}
	wanted := make(map[string]bool, len(keep))
	for _, id := range keep {
		wanted[id] = true
	}
	for _, id := range held[kind] {
		if wanted[id] {
			continue
		}
		if err := c.Delete(ctx, kind, id); err != nil {
			return err
		}
	}
	return nil
}

// Status returns the full state.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return c.Watch(ctx, Status{})
}

// Watch waits for changes after last (a former answer; the zero Status asks for the full state at once) and returns them.
// It returns without changes after about 25 seconds. When the keeper was restarted in between, the answer is Full.
func (c *Client) Watch(ctx context.Context, last Status) (Status, error) {
	q := url.Values{}
	if last.Epoch != "" {
		q.Set("epoch", last.Epoch)
		q.Set("since", strconv.FormatUint(last.Seq, 10))
	}
	var out Status
	return out, c.do(ctx, http.MethodGet, "/v1/status?"+q.Encode(), nil, &out)
}

// Counters returns the counters of everything.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	var out Counters
	return out, c.do(ctx, http.MethodGet, "/v1/counters", nil, &out)
}

// Shutdown ends the keeper process; what it holds stays on disk. Used when Neargate is removed from a host.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/v1/shutdown", nil, nil)
}

// SetSpeed tells the keeper by what AWS delays are divided from now on.
func (c *Client) SetSpeed(ctx context.Context, speed float64) error {
	return c.do(ctx, http.MethodPut, "/v1/speed", speedRequest{Speed: speed}, nil)
}

// ApplyError lists the objects that could not be made so. The keeper remembers them and goes on trying.
type ApplyError struct{ Faults []ObjectFault }

// Error names the first fault and how many more there are.
func (e *ApplyError) Error() string {
	f := e.Faults[0]
	text := fmt.Sprintf("%s %s: %s", f.Kind, f.ID, f.Error)
	if n := len(e.Faults) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

type applyResult struct {
	Faults []ObjectFault `json:"faults,omitempty"`
}

type speedRequest struct {
	Speed float64 `json:"speed"`
}

type errorResponse struct {
	Error string `json:"error"`
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("keeper: encode: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://keeper"+path, body)
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("keeper: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		var e errorResponse
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil || e.Error == "" {
			e.Error = resp.Status
		}
		return fmt.Errorf("keeper: %s", e.Error)
	}
	if out == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("keeper: decode: %w", err)
	}
	return nil
}
