package proxy

import "net/netip"

// Limits of an ALB on what it forwards: a longer trace header is replaced, more addresses in X-Forwarded-For are refused.
const (
	maxTraceHeader    = 7 << 10
	maxForwardedHosts = 30
)

// traceID is a fresh X-Ray identifier: version 1, the time in 8 and 96 random bits in 24 hexadecimal digits.
const (
	hex32   = ",hex,bytes(8,8),lower" // of an integer: HAProxy writes 16 digits
	traceID = "1-%[date" + hex32 + "]-" + random32 + random32 + random32

	random32 = "%[rand(4294967295)" + hex32 + "]"
)

// writeForwardedHeaders writes what is changed in the headers of a request that goes to a target (aws-facts 3.6).
func writeForwardedHeaders(w *writer, c Config, l Listener) {
	if c.DropInvalidHeader {
		w.line("http-request del-header %s -m reg", quote("[^-A-Za-z0-9]"))
	}
	writeForwardedFor(w, c)
	w.line("http-request set-header X-Forwarded-Proto http")
	w.line("http-request set-header X-Forwarded-Port %d", l.Port)
	writeTrace(w)
	if !c.PreserveHost {
		port := ""
		if l.Port != 80 && l.Port != 443 {
			port = ":%[dst_port]"
		}
		w.line("http-request set-header Host %%[req.hdr(host),host_only,lower]%s if { req.hdr(host) -m found }", port)
	}
}

func writeForwardedFor(w *writer, c Config) {
	const name = "X-Forwarded-For"
	w.line("http-request return status 463 %s if { req.hdr_cnt(x-forwarded-for) gt %d }", ownHeaders, maxForwardedHosts)
	switch c.Forwarded {
	case ForwardedPreserve:
	case ForwardedRemove:
		w.line("http-request del-header %s", name)
	default:
		client := "%[src]"
		if c.ForwardedPort {
			client = "%[src]:%[src_port]"
			if len(c.Nodes) > 0 && isIPv6(c.Nodes[0].Address) {
				client = "[%[src]]:%[src_port]"
			}
		}
		// One header stays one; of several, the client gets a line of its own.
		w.line("http-request set-header %s %s if { req.fhdr_cnt(x-forwarded-for) eq 1 }", name, quote("%[req.fhdr(x-forwarded-for)], "+client))
		w.line("http-request add-header %s %s if { req.fhdr_cnt(x-forwarded-for) gt 1 }", name, quote(client))
		w.line("http-request set-header %s %s if !{ req.hdr(x-forwarded-for) -m found }", name, quote(client))
	}
}

func isIPv6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

// writeTrace makes, keeps or completes X-Amzn-Trace-Id: a Root that is there stays and gets a Self in front of it, an
// earlier Self goes.
func writeTrace(w *writer) {
	const name = "X-Amzn-Trace-Id"
	const fetch = "req.fhdr(x-amzn-trace-id)"
	w.line("acl traced %s -m found", fetch)
	w.line("acl rooted %s -m sub Root=", fetch)
	w.line("http-request del-header %s if traced { %s -m len gt %d }", name, fetch, maxTraceHeader)
	rest := `%[` + fetch + `,regsub("Self=[^;]*;?","",g)]`
	w.line("http-request set-header %s %s if traced rooted", name, quote("Self="+traceID+";"+rest))
	w.line("http-request set-header %s %s if traced !rooted", name, quote("Root="+traceID+";"+rest))
	w.line("http-request set-header %s %s if !traced", name, quote("Root="+traceID))
}
