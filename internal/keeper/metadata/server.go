package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/neargate/neargate/internal/keeper/sockets"
)

// Options of a Server.
type Options struct {
	// CgroupRoot is the mount of the cgroup hierarchies; /sys/fs/cgroup when empty.
	CgroupRoot string
	Logger     *slog.Logger
}

// Server serves the metadata of any number of tasks, each on the listener of its own namespace: what a task is told
// depends on where its question arrived, never on what it asks for.
type Server struct {
	http *http.Server
	o    Options
}

// Task is one task's metadata, being served.
type Task struct {
	server *Server
	cfg    atomic.Pointer[Config]
	stats  sampler
	// Interfaces reads the task's interface counters; set by NewTask.
	interfaces func() (map[string]NetworkStats, error)

	conns   sockets.Conns
	retired atomic.Bool
}

type taskKey struct{}

// NewServer returns a server of no tasks.
func NewServer(o Options) *Server {
	if o.CgroupRoot == "" {
		o.CgroupRoot = "/sys/fs/cgroup"
	}
	s := &Server{o: o}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, taskKey{}, c.(*taskConn).task)
		},
		ConnState: func(c net.Conn, state http.ConnState) { c.(*taskConn).become(state) },
	}
	if o.Logger != nil {
		s.http.ErrorLog = slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)
	}
	return s
}

// NewTask returns a task that is told cfg. Interfaces reads the interface counters of its namespace.
func (s *Server) NewTask(cfg Config, interfaces func() (map[string]NetworkStats, error)) *Task {
	t := &Task{server: s, interfaces: interfaces}
	t.Set(cfg)
	return t
}

// Set replaces what the task is told.
func (t *Task) Set(cfg Config) { t.cfg.Store(&cfg) }

// Serve answers on the listener until accepting fails for good; it closes the listener then.
func (t *Task) Serve(l net.Listener) error {
	err := t.server.http.Serve(&taskListener{Listener: l, task: t})
	if errors.Is(err, http.ErrServerClosed) {
		return net.ErrClosed
	}
	return err
}

// Close cuts the task's open connections, and all that come later.
func (t *Task) Close() { t.conns.Cut() }

// Retire lets every connection end after the request that it is busy with. The listener is to be closed before.
func (t *Task) Retire() {
	t.retired.Store(true)
	t.conns.Each(func(c io.Closer) {
		if marked := c.(*taskConn); marked.idle.Load() {
			marked.Close()
		}
	})
}

// Wait returns when the last connection has ended, or ctx.
func (t *Task) Wait(ctx context.Context) error { return t.conns.Wait(ctx) }

// taskListener marks each connection with its task.
type taskListener struct {
	net.Listener
	task *Task
}

// maxConns bounds what one task can make the keeper hold.
const maxConns = 64

func (l *taskListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		marked := &taskConn{Conn: c, task: l.task}
		if l.task.conns.Len() >= maxConns || !l.task.conns.Add(marked) {
			c.Close()
			continue
		}
		return marked, nil
	}
}

type taskConn struct {
	net.Conn
	task *Task
	idle atomic.Bool // between two requests
}

// become follows the connection's state.
func (c *taskConn) become(state http.ConnState) {
	c.idle.Store(state == http.StateIdle)
	switch {
	case state == http.StateClosed, state == http.StateHijacked:
		c.task.conns.Remove(c)
	case state == http.StateIdle && c.task.retired.Load():
		c.Close()
	}
}

// handle answers one request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	task := r.Context().Value(taskKey{}).(*Task)
	cfg := task.cfg.Load()
	if task.retired.Load() {
		w.Header().Set("Connection", "close")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "/v2/credentials" || path == "/v1/credentials":
		s.credentials(w, cfg, r.URL.Query().Get("id"))
	case strings.HasPrefix(path, "/v2/credentials/"):
		s.credentials(w, cfg, strings.TrimPrefix(path, "/v2/credentials/"))
	case strings.HasPrefix(path, "/v4/"), strings.HasPrefix(path, "/v3/"):
		id, what, _ := strings.Cut(path[len("/v4/"):], "/")
		s.metadata(w, task, cfg, id, what)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) metadata(w http.ResponseWriter, task *Task, cfg *Config, id, what string) {
	var container *Container
	for i := range cfg.Containers {
		if cfg.Containers[i].ID == id {
			container = &cfg.Containers[i]
		}
	}
	if container == nil {
		writeText(w, http.StatusNotFound, "V4 metadata handler: unable to get container ID from request: unable to get docker ID from v3 endpoint ID: "+id)
		return
	}
	switch what {
	case "":
		writeDocument(w, container.Document)
	case "task":
		writeDocument(w, cfg.Task)
	case "taskWithTags":
		if cfg.Tagged != nil {
			writeDocument(w, cfg.Tagged)
		} else {
			writeDocument(w, cfg.Task)
		}
	case "stats":
		writeJSON(w, http.StatusOK, s.containerStats(task, *container))
	case "task/stats":
		all := make(map[string]*Stats, len(cfg.Containers))
		for _, c := range cfg.Containers {
			all[c.DockerID] = s.containerStats(task, c)
		}
		writeJSON(w, http.StatusOK, all)
	default:
		writeText(w, http.StatusNotFound, "404 page not found")
	}
}

// credentialsError is the agent's error form.
type credentialsError struct {
	Code          string `json:"code"`
	Message       string `json:"message"`
	HTTPErrorCode int    `json:"HTTPErrorCode"`
}

func (s *Server) credentials(w http.ResponseWriter, cfg *Config, id string) {
	fail := func(status int, code, message string) {
		writeJSON(w, status, credentialsError{Code: code, Message: message, HTTPErrorCode: status})
	}
	if id == "" {
		fail(http.StatusBadRequest, "NoIdInRequest", "CredentialsV2Request: No ID in the request")
		return
	}
	for _, c := range cfg.Credentials {
		if c.ID != id {
			continue
		}
		if c.AccessKeyID == "" {
			fail(http.StatusServiceUnavailable, "CredentialsUninitialized", "CredentialsV2Request: Credentials uninitialized for ID")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, struct {
			RoleArn         string
			AccessKeyId     string // AWS's spelling
			SecretAccessKey string
			Token           string
			Expiration      string
		}{c.RoleARN, c.AccessKeyID, c.SecretAccessKey, c.Token, c.Expiration.UTC().Format(time.RFC3339)})
		return
	}
	fail(http.StatusBadRequest, "InvalidIdInRequest", "CredentialsV2Request: ID not found")
}

func writeDocument(w http.ResponseWriter, doc json.RawMessage) {
	if len(doc) == 0 {
		writeText(w, http.StatusInternalServerError, "no metadata yet")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(doc)
}

// writeText answers with a JSON string, as the agent does for its metadata errors.
func writeText(w http.ResponseWriter, status int, text string) { writeJSON(w, status, text) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
