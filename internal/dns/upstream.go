package dns

import (
	"context"
	"net/netip"
	"time"

	wire "github.com/miekg/dns"
)

const upstreamTimeout = 2 * time.Second

// ask completes msg with what the upstreams know of name, the first that answers; none: SERVFAIL.
func ask(upstream []netip.AddrPort, name string, req, msg *wire.Msg) {
	query := new(wire.Msg)
	query.SetQuestion(name, req.Question[0].Qtype)
	query.SetEdns0(ednsSize, false)
	ctx, cancel := context.WithTimeout(context.Background(), 2*upstreamTimeout)
	defer cancel()
	for _, server := range upstream {
		for _, network := range []string{"udp", "tcp"} {
			client := wire.Client{Net: network, Timeout: upstreamTimeout, UDPSize: ednsSize}
			got, _, err := client.ExchangeContext(ctx, query, server.String())
			if err != nil {
				break
			}
			if got.Truncated && network == "udp" {
				continue
			}
			msg.Rcode = got.Rcode
			msg.Answer = append(msg.Answer, got.Answer...)
			msg.Ns = append(msg.Ns, got.Ns...)
			return
		}
	}
	msg.Answer = nil
	msg.Rcode = wire.RcodeServerFailure
}
