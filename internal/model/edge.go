package model

import "net/netip"

// Address plan of "the Internet" inside [EdgeNetns]. 198.18.0.0/15 is set aside by RFC 2544 for tests, so no real host has such an address.
var (
	// PublicPool is where Elastic IPs and automatic public addresses come from.
	PublicPool = netip.MustParsePrefix("198.18.0.0/16")
	// ServicePool holds the public addresses of the AWS services.
	ServicePool = netip.MustParsePrefix("198.19.0.0/16")
	// OutsideClient is the address that the front door and simulated outside clients dial from.
	OutsideClient = netip.MustParseAddr("198.19.255.1")
	// LinkLocalResolver is the VPC resolver's second address.
	LinkLocalResolver = netip.MustParseAddr("169.254.169.253")
	// TaskMetadata is where a task's metadata and credentials are served: by the VPC's router, on the task's
	// own interface. In the task's namespace a listener would take the port 80 away from the task (0.0.0.0:80 clashes).
	TaskMetadata = netip.MustParseAddr("169.254.170.2")
)

// FrontDoor returns the loopback address on the host that leads to a public address: 198.18.a.b becomes 127.18.a.b.
func FrontDoor(public netip.Addr) netip.Addr {
	b := public.As4()
	return netip.AddrFrom4([4]byte{127, b[1], b[2], b[3]})
}

// ServiceName is an AWS service name that resolves, in every VPC, to a public service address in the edge.
type ServiceName struct {
	Host    string
	Address netip.Addr
}

// ServiceNames returns the host names of the AWS services that Neargate serves, each with its address.
// The registry's and the layer bucket's names are part of it: a pull needs all three.
func ServiceNames(s Scope) []ServiceName {
	regional := s.Region + ".amazonaws.com"
	hosts := []string{
		"api.ecr." + regional,
		s.RepositoryHost(),
		LayerBucketHost(s.Region),
		"logs." + regional,
		"sts." + regional,
		"sts.amazonaws.com",
		"ecs." + regional,
		"ec2." + regional,
		"elasticloadbalancing." + regional,
		"iam.amazonaws.com",
		"cloudformation." + regional,
		"ecr." + regional,
	}
	names := make([]ServiceName, 0, len(hosts))
	for i, h := range hosts {
		names = append(names, ServiceName{Host: h, Address: netip.AddrFrom4([4]byte{198, 19, 0, byte(10 + i)})})
	}
	return names
}

// LayerBucketHost returns the S3 host name that ECR redirects layer downloads to (aws-facts 5).
func LayerBucketHost(region string) string {
	return "prod-" + region + "-starport-layer-bucket.s3." + region + ".amazonaws.com"
}

// PrivateDNSName returns the name that AWS gives to a private address (aws-facts 2.3).
func PrivateDNSName(region string, addr netip.Addr) string {
	return "ip-" + dashed(addr) + "." + InternalDomain(region)
}

// InternalDomain returns the VPC's default DNS domain; us-east-1 has one of its own.
func InternalDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// PublicDNSName returns the name that AWS gives to a public address.
func PublicDNSName(region string, addr netip.Addr) string {
	if region == "us-east-1" {
		return "ec2-" + dashed(addr) + ".compute-1.amazonaws.com"
	}
	return "ec2-" + dashed(addr) + "." + region + ".compute.amazonaws.com"
}

// Zones returns the availability zones of a region with their identifiers. Real regions have more; Neargate offers three.
func Zones(region string) []Zone {
	short := zoneIDPrefix(region)
	zones := make([]Zone, 0, 3)
	for i, letter := range "abc" {
		zones = append(zones, Zone{Name: region + string(letter), ID: short + "-az" + string(rune('1'+i))})
	}
	return zones
}

// Zone is an availability zone.
type Zone struct{ Name, ID string }

// zoneIDPrefix shortens a region as AWS does in zone identifiers: us-east-1 -> use1, ap-northeast-1 -> apne1.
func zoneIDPrefix(region string) string {
	short := map[string]string{"north": "n", "south": "s", "east": "e", "west": "w", "central": "c",
		"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
	out, word := "", ""
	for _, c := range region + "-" {
		if c != '-' {
			word += string(c)
			continue
		}
		if s, ok := short[word]; ok {
			word = s
		}
		out, word = out+word, ""
	}
	return out
}

func dashed(addr netip.Addr) string {
	b := []byte(addr.String())
	for i, c := range b {
		if c == '.' || c == ':' {
			b[i] = '-'
		}
	}
	return string(b)
}
