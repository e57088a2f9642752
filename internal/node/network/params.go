package network

import (
	"net"
	"strconv"

	"github.com/neargate/neargate/internal/fabric/nat"
	"github.com/neargate/neargate/internal/linux/sysctl"
)

// MTUs as on AWS: jumbo frames inside a VPC, 1500 through an internet gateway.
const (
	eniMTU     = 9001
	gatewayMTU = 1500
)

// MAC addresses of the router's ends. Each link is a segment of its own, so one address serves all ENIs.
var (
	routerMAC  = net.HardwareAddr{0x02, 0x4e, 0x47, 0, 0, 1}
	gatewayMAC = net.HardwareAddr{0x02, 0x4e, 0x47, 0, 0, 2}
	edgeMAC    = net.HardwareAddr{0x02, 0x4e, 0x47, 0, 0, 3}
)

// router are the parameters of every namespace that forwards. They come before the first link, which inherits them.
var routerParams = []sysctl.Param{
	{Name: "ipv4.ip_forward", Value: "1"}, // first: setting it resets others
	{Name: "ipv4.conf.all.rp_filter", Value: "0"},
	{Name: "ipv4.conf.default.rp_filter", Value: "0"},
	{Name: "ipv4.conf.all.send_redirects", Value: "0"},
	{Name: "ipv4.conf.default.send_redirects", Value: "0"}, // a NAT gateway sends out where it received
	{Name: "ipv4.conf.all.accept_redirects", Value: "0"},
	{Name: "ipv4.conf.default.accept_redirects", Value: "0"},
	{Name: "ipv6.conf.default.disable_ipv6", Value: "1", Optional: true}, // no ENI has an IPv6 address yet
}

// vpcParams are a VPC's alone. Where there are routing rules by mark, the kernel looks the route to every packet's source
// up, only to find out that it is not one of the router's own addresses (3 % of a round trip). The packet filter
// has decided about the source already: an ENI sends its own addresses, the gateway none of the VPC's.
var vpcParams = []sysctl.Param{
	{Name: "ipv4.conf.all.accept_local", Value: "1"},
}

// ownerParams are those of a namespace that ENIs are put into. Return packets of a load balancer's second ENI would fail
// a reverse path check.
var ownerParams = []sysctl.Param{
	{Name: "ipv4.conf.all.rp_filter", Value: "0"},
	{Name: "ipv4.conf.default.rp_filter", Value: "0"},
	{Name: "ipv4.conf.default.accept_redirects", Value: "0"},
	{Name: "ipv6.conf.default.disable_ipv6", Value: "1", Optional: true},
}

// vpcTracking makes connection tracking do what AWS documents for security groups. Windows are not checked: AWS does
// not, and a packet out of its window would otherwise count as invalid and be dropped.
var vpcTracking = []sysctl.Param{
	{Name: "netfilter.nf_conntrack_tcp_be_liberal", Value: "1"},
	{Name: "netfilter.nf_conntrack_tcp_loose", Value: "1"},
	{Name: "netfilter.nf_conntrack_tcp_timeout_established", Value: "432000"},
	{Name: "netfilter.nf_conntrack_udp_timeout", Value: "30"},
	{Name: "netfilter.nf_conntrack_udp_timeout_stream", Value: "180"},
	{Name: "netfilter.nf_conntrack_generic_timeout", Value: "600"},
}

// natTracking is a NAT gateway's: idle flows end after 350 s, and nothing in the middle of a flow opens a new one.
var natTracking = []sysctl.Param{
	{Name: "netfilter.nf_conntrack_tcp_be_liberal", Value: "1"},
	{Name: "netfilter.nf_conntrack_tcp_loose", Value: "0"},
	{Name: "netfilter.nf_conntrack_tcp_timeout_established", Value: strconv.Itoa(nat.IdleSeconds)},
	{Name: "netfilter.nf_conntrack_udp_timeout", Value: strconv.Itoa(nat.IdleSeconds)},
	{Name: "netfilter.nf_conntrack_udp_timeout_stream", Value: strconv.Itoa(nat.IdleSeconds)},
	{Name: "netfilter.nf_conntrack_icmp_timeout", Value: strconv.Itoa(nat.IdleSeconds)},
}
