package codegen

import (
	"strings"
	"unicode"
)

// exported returns the Go name of a shape or member: the model's with an upper-case first letter.
func exported(name string) string {
	return strings.ToUpper(name[:1]) + name[1:]
}

// enumSuffix returns the part of an enum constant's name that comes from its value: "TCP_UDP" gives TcpUdp,
// "awsvpc" Awsvpc, "application-load-balancer" ApplicationLoadBalancer.
func enumSuffix(value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var b strings.Builder
	for _, w := range words {
		if w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	if b.Len() == 0 {
		return "Empty"
	}
	return b.String()
}

// errorName returns the name of an error code's constant: "LoadBalancerNotFound" gives ErrLoadBalancerNotFound.
func errorName(code string) string { return "Err" + enumSuffix(code) }
