package proxy

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

func writeFrontend(w *writer, c Config, l Listener, n Node) {
	w.section("frontend " + frontendName(l.Port, n.Name))
	w.line("bind %s", net.JoinHostPort(n.Address.String(), strconv.Itoa(l.Port)))
	w.line("option disable-h2-upgrade")     // HTTP/2 only with TLS
	w.line("option idle-close-on-response") // a reload cuts no idle connection in the moment of its next request
	if c.ClientKeepAlive > 0 {
		w.line("tcp-request session set-var(sess.t0) date")
		w.line("http-after-response set-header connection close if { date,sub(sess.t0) ge %d }", int(c.ClientKeepAlive.Seconds()))
	}
	writeResponseRules(w, l)
	w.line("%s if METH_TRACE", returnPage(405))
	w.line("%s if { url -m len gt %d }", returnPage(414), maxURL)
	defaultBackend := writeRules(w, l, n)
	writeForwardedHeaders(w, c, l)
	w.line("http-request set-var(txn.t0) date(0,ms)")
	if len(l.Rules) > 0 || defaultBackend == "" {
		w.line("use_backend %%[var(txn.backend)] if { var(txn.backend) -m found }")
	}
	if defaultBackend != "" {
		w.line("default_backend %s", defaultBackend)
	}
}

func writeResponseRules(w *writer, l Listener) {
	for _, status := range []int{502, 504} {
		w.line("http-after-response set-status %d reason %s if { status 503 } { res.hdr(%s) -m str %d }",
			status, quote(reasons[status]), errorHeader, status)
	}
	w.line("http-after-response del-header %s if { status 502 504 }", errorHeader)
	for _, status := range []int{502, 503} { // HAProxy's own reason phrases are others
		w.line("http-after-response set-status %d reason %s if { status %d } { res.hdr(server) -m str %s }",
			status, quote(reasons[status]), status, serverHeader)
	}
	if l.HideServer {
		w.line("http-after-response del-header server")
	}
	for _, h := range l.SetHeaders {
		w.line("http-after-response set-header %s %s", quote(h.Name), quote(literal(h.Value)))
	}
}

// writeRules writes the listener's rules and its default action. The first rule that matches and forwards sets
// txn.backend, which keeps the later ones from acting. It returns the default backend, if that is a plain one.
func writeRules(w *writer, l Listener, n Node) (defaultBackend string) {
	guard := "" // "!chosen" as soon as an earlier rule may have chosen
	for i, r := range l.Rules {
		if r.Name != "" {
			w.line("# %s", strings.Map(printable, r.Name))
		}
		names := []string{}
		if guard != "" {
			names = append(names, guard)
		}
		for j, cond := range r.Conditions {
			name := fmt.Sprintf("r%d_%d", i, j)
			writeCondition(w, name, cond)
			names = append(names, name)
		}
		writeAction(w, r.Action, n, names)
		if r.Action.Forward != nil && guard == "" {
			guard = "!chosen"
			w.line("acl chosen var(txn.backend) -m found")
		}
	}
	w.line("# default")
	if f := l.Default.Forward; len(f) == 1 && f[0].Weight > 0 {
		return BackendName(f[0].Group, n.Name)
	}
	var names []string
	if guard != "" {
		names = []string{guard}
	}
	writeAction(w, l.Default, n, names)
	return ""
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}

func writeCondition(w *writer, name string, c Condition) {
	acl := func(fetch, flags, value string) {
		w.line("acl %s %s%s -- %s", name, fetch, flags, quote(value))
	}
	for _, v := range c.Values {
		switch c.Field {
		case FieldPath:
			acl("path", textMatch(v), textPattern(v))
		case FieldHost:
			acl("req.hdr(host),host_only", " -i"+textMatch(v), textPattern(v))
		case FieldHeader:
			acl("req.fhdr("+c.Header+")", " -i"+textMatch(v), textPattern(v))
		case FieldMethod:
			acl("method", "", v)
		case FieldSourceIP:
			acl("src", "", v)
		}
	}
	for _, q := range c.Query {
		acl("query", " -i -m reg", queryPattern(q))
	}
}

func textMatch(v string) string {
	if hasWildcard(v) {
		return " -m reg"
	}
	return " -m str"
}

func textPattern(v string) string {
	if hasWildcard(v) {
		return wildcard(v)
	}
	return v
}

// writeAction writes what is done when all the named conditions hold.
func writeAction(w *writer, a Action, n Node, names []string) {
	when := func(more ...string) string {
		all := append(append([]string{}, names...), more...)
		if len(all) == 0 {
			return ""
		}
		return " if " + strings.Join(all, " ")
	}
	switch {
	case a.Redirect != nil:
		writeRedirect(w, *a.Redirect, when)
	case a.Fixed != nil:
		w.line("http-request return status %d%s %s%s", a.Fixed.Status, fixedBody(*a.Fixed), ownHeaders, when())
	default:
		writeForward(w, a.Forward, n, when)
	}
}

func fixedBody(f Fixed) string {
	if f.Body == "" {
		return ""
	}
	ctype := f.ContentType
	if ctype == "" {
		ctype = "text/plain"
	}
	if strings.HasPrefix(ctype, "text/") {
		ctype += "; charset=utf-8"
	}
	return fmt.Sprintf(" content-type %s string %s", quote(ctype), quote(f.Body))
}

func writeForward(w *writer, groups []Weighted, n Node, when func(...string) string) {
	total := 0
	live := []Weighted{}
	for _, g := range groups {
		if g.Weight > 0 {
			total += g.Weight
			live = append(live, g)
		}
	}
	switch len(live) {
	case 0: // every weight is 0: nobody may answer
		w.line("%s%s", returnPage(503), when())
		return
	case 1:
		w.line("http-request set-var(txn.backend) str(%s)%s", BackendName(live[0].Group, n.Name), when())
		return
	}
	w.line("http-request set-var(txn.draw) rand(%d)%s", total, when())
	// From the last share to the first, so that each line overwrites with a narrower one; none of them looks at "chosen" again
	// after the first has set it, which is why the draw itself is the condition.
	below := total
	for i := len(live) - 1; i >= 0; i-- {
		w.line("http-request set-var(txn.backend) str(%s) if { var(txn.draw) -m found } { var(txn.draw) -m int lt %d }",
			BackendName(live[i].Group, n.Name), below)
		below -= live[i].Weight
	}
	w.line("http-request unset-var(txn.draw)")
}

func writeRedirect(w *writer, r Redirect, when func(...string) string) {
	location := func(query string) string {
		s := expand(r.Protocol) + "://" + expand(r.Host) + ":" + expand(r.Port) + expand(r.Path)
		if query != "" {
			s += "?" + expand(query)
		}
		return quote(s)
	}
	line := func(query, cond string) {
		w.line("http-request return status %d content-type text/html string %s hdr Location %s %s%s",
			r.Status, quote(page(r.Status)), location(query), ownHeaders, cond)
	}
	if r.Query == "#{query}" { // a request without a query leads to a Location without "?"
		line(r.Query, when("{ query -m len gt 0 }"))
		line("", when())
		return
	}
	line(r.Query, when())
}

// expand turns the placeholders of a redirect into HAProxy's expressions.
func expand(s string) string {
	return strings.NewReplacer("%", "%%",
		"#{protocol}", "%[ssl_fc,iif(https,http)]",
		"#{host}", "%[req.hdr(host),host_only]",
		"#{port}", "%[dst_port]",
		"#{path}", "%[path,bytes(1)]",
		"#{query}", "%[query]").Replace(s)
}
