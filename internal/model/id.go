package model

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
)

// Prefixes of EC2 identifiers: prefix, dash, 17 hexadecimal digits.
const (
	PrefixVPC               = "vpc"
	PrefixSubnet            = "subnet"
	PrefixRouteTable        = "rtb"
	PrefixRouteTableAssoc   = "rtbassoc"
	PrefixInternetGateway   = "igw"
	PrefixNatGateway        = "nat"
	PrefixAllocation        = "eipalloc"
	PrefixAddressAssoc      = "eipassoc"
	PrefixENI               = "eni"
	PrefixENIAttachment     = "eni-attach"
	PrefixSecurityGroup     = "sg"
	PrefixSecurityGroupRule = "sgr"
	PrefixNetworkACL        = "acl"
	PrefixNetworkACLAssoc   = "aclassoc"
	PrefixDHCPOptions       = "dopt"
	PrefixVPCCIDRAssoc      = "vpc-cidr-assoc"
	PrefixSubnetCIDRAssoc   = "subnet-cidr-assoc"
	PrefixManagedPrefixList = "pl"
	ec2IDHexDigits          = 17
)

// NewID returns a fresh EC2-style identifier: prefix, dash, 17 hexadecimal digits.
func NewID(prefix string) string { return prefix + "-" + Hex(ec2IDHexDigits) }

// IsID reports whether id has the form of [NewID] with that prefix. Eight digits are accepted too: AWS still knows such old identifiers.
func IsID(prefix, id string) bool {
	digits, ok := strings.CutPrefix(id, prefix+"-")
	if !ok || (len(digits) != ec2IDHexDigits && len(digits) != 8) {
		return false
	}
	return isLowerHex(digits)
}

// Hex returns n random hexadecimal digits.
func Hex(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the process instead
	return hex.EncodeToString(b)[:n]
}

// Digits returns n random decimal digits, the first not zero.
func Digits(n int) string {
	const ten = 10
	var s strings.Builder
	for i := range n {
		low, span := int64(0), int64(ten)
		if i == 0 {
			low, span = 1, ten-1
		}
		d, _ := rand.Int(rand.Reader, big.NewInt(span))
		s.WriteByte(byte('0' + low + d.Int64()))
	}
	return s.String()
}

// NewTaskID returns a task identifier: 32 lower-case hexadecimal digits.
func NewTaskID() string { return Hex(32) }

// NewDeploymentID returns an ECS deployment identifier, `ecs-svc/` and 19 digits.
func NewDeploymentID() string { return "ecs-svc/" + Digits(19) }

// NewUUID returns a random (version 4) UUID in its usual form.
func NewUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// NewMAC returns a locally administered unicast MAC address (first octet 02, as EC2 hands out).
func NewMAC() string {
	b := make([]byte, 5)
	_, _ = rand.Read(b)
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4])
}

func isLowerHex(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}
