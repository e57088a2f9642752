package dns

import (
	"net"

	wire "github.com/miekg/dns"
)

const (
	maxChain    = 8    // canonical names followed in one answer
	ednsSize    = 4096 // largest UDP answer, as the VPC resolver advertises
	plainSize   = 512  // without EDNS (RFC 1035)
	negativeTTL = 60
)

// outcome of a question that the zone was asked.
type outcome int

const (
	answered outcome = iota
	ignored          // not a question at all: no answer
	forward          // the name is somebody else's: ask the upstream about rest
)

// answer fills resp for the request. When the outcome is forward, rest is the name to ask the upstream for; resp then
// holds the chain that leads to it.
func (ix *index) answer(req, resp *wire.Msg) (rest string, what outcome) {
	if req.Response {
		return "", ignored // answering answers makes two resolvers talk for ever
	}
	resp.SetReply(req)
	resp.RecursionAvailable = true
	if opt := req.IsEdns0(); opt != nil {
		resp.SetEdns0(ednsSize, false)
		if opt.Version() != 0 {
			resp.Rcode = wire.RcodeBadVers
			return "", answered
		}
	}
	switch {
	case req.Opcode != wire.OpcodeQuery:
		resp.Rcode = wire.RcodeNotImplemented
		return "", answered
	case len(req.Question) != 1:
		resp.Rcode = wire.RcodeFormatError
		return "", answered
	}
	q := req.Question[0]
	switch {
	case q.Qclass != wire.ClassINET && q.Qclass != wire.ClassANY,
		q.Qtype == wire.TypeAXFR, q.Qtype == wire.TypeIXFR:
		resp.Rcode = wire.RcodeRefused
		return "", answered
	}
	return ix.resolve(q, resp)
}

func (ix *index) resolve(q wire.Question, resp *wire.Msg) (rest string, what outcome) {
	owner := q.Name // the first record keeps the asker's spelling
	name := wire.CanonicalName(q.Name)
	for range maxChain {
		if target, ok := ix.pointer(name); ok {
			if q.Qtype == wire.TypePTR || q.Qtype == wire.TypeANY {
				resp.Answer = append(resp.Answer, &wire.PTR{Hdr: header(owner, wire.TypePTR, DefaultTTL), Ptr: target})
			} else {
				ix.addSOA(name, resp)
			}
			return "", answered
		}
		rec, ok := ix.find(name)
		if !ok {
			if !ix.isLocal(name) && len(ix.upstream) > 0 {
				return name, forward
			}
			if !ix.exists[name] {
				resp.Rcode = wire.RcodeNameError
			}
			ix.addSOA(name, resp)
			return "", answered
		}
		if rec.CNAME == "" {
			before := len(resp.Answer)
			addAddresses(owner, q.Qtype, rec, resp)
			if len(resp.Answer) == before {
				ix.addSOA(name, resp)
			}
			return "", answered
		}
		resp.Answer = append(resp.Answer, &wire.CNAME{Hdr: header(owner, wire.TypeCNAME, rec.ttl()), Target: rec.CNAME})
		if q.Qtype == wire.TypeCNAME {
			return "", answered
		}
		owner, name = rec.CNAME, rec.CNAME
	}
	resp.Answer = nil
	resp.Rcode = wire.RcodeServerFailure // a loop
	return "", answered
}

func addAddresses(owner string, qtype uint16, rec Record, resp *wire.Msg) {
	if qtype == wire.TypeA || qtype == wire.TypeANY {
		for _, a := range rec.addresses(false) {
			resp.Answer = append(resp.Answer, &wire.A{Hdr: header(owner, wire.TypeA, rec.ttl()), A: net.IP(a.AsSlice())})
		}
	}
	if qtype == wire.TypeAAAA || qtype == wire.TypeANY {
		for _, a := range rec.addresses(true) {
			resp.Answer = append(resp.Answer, &wire.AAAA{Hdr: header(owner, wire.TypeAAAA, rec.ttl()), AAAA: net.IP(a.AsSlice())})
		}
	}
}

// addSOA says who is sure that there is nothing, and for how long the asker may remember it (RFC 2308).
func (ix *index) addSOA(name string, resp *wire.Msg) {
	zone := ix.zoneOf(name)
	if zone == "" {
		zone = "."
	}
	resp.Ns = append(resp.Ns, &wire.SOA{
		Hdr: header(zone, wire.TypeSOA, negativeTTL), Ns: "ns0.neargate.invalid.", Mbox: "hostmaster.neargate.invalid.",
		Serial: 1, Refresh: 3600, Retry: 900, Expire: 86400, Minttl: negativeTTL,
	})
}

func header(name string, rrtype uint16, ttl uint32) wire.RR_Header {
	return wire.RR_Header{Name: name, Rrtype: rrtype, Class: wire.ClassINET, Ttl: ttl}
}

// sizeLimit returns how large an answer to req may be over UDP.
func sizeLimit(req *wire.Msg) int {
	if opt := req.IsEdns0(); opt != nil {
		return max(plainSize, min(int(opt.UDPSize()), ednsSize))
	}
	return plainSize
}
