package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Sizes of a request as an ALB limits them: 16 KiB for the URL, 64 KiB for the whole head. HAProxy keeps a request's
// head in one buffer, with room to rewrite.
const (
	maxURL       = 16 << 10
	maxHeaders   = 64 << 10
	rewriteSpace = 8 << 10
	maxHeader    = 256
)

// Limits of time of an ALB.
const (
	defaultConnectTimeout = 10 * time.Second
	defaultIdleTimeout    = 60 * time.Second
	// defaultIdle is short, so that a target seldom closes a connection in the moment of its next request.
	defaultIdle = 5 * time.Second
	// reloadGrace is how long connections of before a reload may go on.
	reloadGrace = time.Hour
)

// Rendered is a configuration of HAProxy.
type Rendered struct {
	Text string
	// Structure identifies everything but the servers. It is part of the text; a running HAProxy tells it (see
	// [Info]), so that who compares it knows whether a reload is needed.
	Structure string
}

// Render returns the configuration. It is a pure function; the same description gives the same text.
func Render(c Config) (Rendered, error) {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = defaultIdleTimeout
	}
	if c.Forwarded == "" {
		c.Forwarded = ForwardedAppend
	}
	if err := c.validate(); err != nil {
		return Rendered{}, fmt.Errorf("load balancer description: %w", err)
	}
	bare := c
	bare.Groups = make([]Group, len(c.Groups))
	for i, g := range c.Groups {
		g.Servers = nil
		bare.Groups[i] = g
	}
	sum := sha256.Sum256([]byte(render(bare, "")))
	structure := hex.EncodeToString(sum[:8])
	return Rendered{Text: render(c, structure), Structure: structure}, nil
}

func render(c Config, structure string) string {
	w := &writer{}
	writeGlobal(w, c, structure)
	writeDefaults(w, c)
	for _, l := range c.Listeners {
		for _, n := range c.Nodes {
			writeFrontend(w, c, l, n)
		}
	}
	for _, g := range c.Groups {
		for _, n := range c.Nodes {
			writeBackend(w, g, n)
		}
	}
	return w.String()
}

func writeGlobal(w *writer, c Config, structure string) {
	w.section("global")
	w.line("description structure-%s", structure)
	w.line("stats socket %s mode 600 level admin expose-fd listeners", quote(c.StatsSocket))
	w.line("stats timeout 1m")
	if c.User != "" {
		w.line("user %s", c.User)
	}
	if c.Group != "" {
		w.line("group %s", c.Group)
	}
	if c.Threads > 0 {
		w.line("nbthread %d", c.Threads)
	}
	if c.MaxFiles > 0 { // HAProxy reserves memory for each; a maxconn above the limit of files would keep it from starting
		w.line("fd-hard-limit %d", c.MaxFiles)
	}
	w.line("hard-stop-after %ds", int(reloadGrace.Seconds()))
	w.line("tune.bufsize %d", maxHeaders+rewriteSpace)
	w.line("tune.maxrewrite %d", rewriteSpace)
	w.line("tune.http.maxhdr %d", maxHeader)
	for _, h := range []string{"Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Amzn-Trace-Id", "Connection", "Upgrade"} {
		w.line("h1-case-adjust %s %s", strings.ToLower(h), h)
	}
}

func writeDefaults(w *writer, c Config) {
	w.section("defaults")
	w.line("mode http")
	w.line("timeout connect %dms", c.ConnectTimeout.Milliseconds())
	idle := c.IdleTimeout.Milliseconds()
	for _, t := range []string{"client", "http-request", "http-keep-alive", "server", "tunnel"} {
		w.line("timeout %s %dms", t, idle)
	}
	w.line("retries 0") // an ALB sends a request to one target only
	// A request that cannot even be parsed gets HAProxy's built-in page instead: 2.6 has no way to change that one.
	for _, status := range []int{400, 405, 408, 413, 500, 501, 502, 504} {
		w.line("http-error status %d content-type text/html string %s %s", status, quote(page(status)), ownHeaders)
	}
	// HAProxy answers 503 whenever a connection could not be made. An ALB answers 504 if it took too long, else 502.
	// The two are told apart by the time since the server was chosen (txn.t0): a refusal cannot come after the time-out.
	late := fmt.Sprintf("date(0,ms),sub(txn.t0),div(%d),bool", max(1, c.ConnectTimeout.Milliseconds()-lateSlack))
	title := fmt.Sprintf("%%[%s,iif(504 Gateway Time-out,502 Bad Gateway)]", late)
	w.line("http-error status 503 content-type text/html lf-string %s %s hdr %s %%[%s,iif(504,502)]",
		quote(pageOf(title)), ownHeaders, errorHeader, late)
}

// lateSlack allows for the millisecond clocks of the timer and of txn.t0 not ticking together.
const lateSlack = 50

func writeBackend(w *writer, g Group, n Node) {
	w.section("backend " + BackendName(g.Name, n.Name))
	w.line("balance %s", g.Algorithm)
	w.line("source %s", n.Address)
	w.line("option h1-case-adjust-bogus-server")
	// In a worker that a reload replaced, every backend counts as without servers, though it goes on serving.
	w.line("%s if { nbsrv eq 0 } !{ stopping }", returnPage(503))
	for _, s := range g.Servers {
		state := ""
		if s.Disabled || s.Draining {
			state = " disabled"
		}
		w.line("server %s %s %s%s", s.Name(), s.Address, serverOptions(g), state)
	}
}

// serverOptions are what every server has, be it rendered or added at run time (such a one takes no defaults).
// The load balancer opens no connection ahead of need and keeps idle ones for the next request.
func serverOptions(g Group) string {
	idle := g.Idle
	if idle <= 0 {
		idle = defaultIdle
	}
	opts := fmt.Sprintf("pool-max-conn 1024 pool-purge-delay %dms", idle.Milliseconds())
	if g.TLS {
		opts += " ssl verify none"
	}
	if g.SlowStart > 0 {
		opts += fmt.Sprintf(" slowstart %dms", g.SlowStart.Milliseconds())
	}
	return opts
}

// writer collects the lines of a configuration.
type writer struct{ b strings.Builder }

func (w *writer) section(head string) {
	if w.b.Len() > 0 {
		w.b.WriteByte('\n')
	}
	w.b.WriteString(head + "\n")
}

func (w *writer) line(format string, args ...any) {
	w.b.WriteString("  " + fmt.Sprintf(format, args...) + "\n")
}

func (w *writer) String() string { return w.b.String() }
