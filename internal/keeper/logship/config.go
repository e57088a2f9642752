// Package logship carries what containers write to CloudWatch Logs: it tails spool files, cuts them into events and
// sends these with PutLogEvents, dialled from inside the task's namespace.
//
// A spool is a plain file that the container's shim appends to; nothing here can block a container. The package does
// not decide what is logged where (the task definition does) and does not store logs (the logs API does).
// Start at [Shipper].
package logship

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"
)

// Config is one container's log.
type Config struct {
	// Container names the log within its task.
	Container string `json:"container"`
	// Spool is the file that the shim appends to (O_APPEND). It may not exist yet.
	Spool  string `json:"spool"`
	Region string `json:"region"`
	Group  string `json:"group"`
	Stream string `json:"stream"`
	// CreateGroup is awslogs-create-group.
	CreateGroup bool `json:"createGroup,omitempty"`
	// Blocking is `mode: blocking`: nothing is ever dropped. Otherwise output that could not be sent is dropped, oldest
	// first, once more than MaxBuffer bytes (max-buffer-size) wait.
	Blocking  bool  `json:"blocking,omitempty"`
	MaxBuffer int64 `json:"maxBuffer,omitempty"` // 0 means DefaultMaxBuffer
	// MultilinePattern is awslogs-multiline-pattern: a line that matches begins a new event. DatetimeFormat is
	// awslogs-datetime-format and wins over it.
	MultilinePattern string `json:"multilinePattern,omitempty"`
	DatetimeFormat   string `json:"datetimeFormat,omitempty"`
	Remote           Remote `json:"remote"`
}

// Remote says how CloudWatch Logs is reached, and as whom.
type Remote struct {
	// Resolver answers for Host from inside the task's namespace.
	Resolver netip.AddrPort `json:"resolver"`
	// Host defaults to logs.<region>.amazonaws.com.
	Host string `json:"host,omitempty"`
	// Port defaults to 443.
	Port uint16 `json:"port,omitempty"`
	// CA is the PEM bundle that the server's certificate must chain to; empty means the host's own roots.
	CA string `json:"ca,omitempty"`
	// The execution role's credentials.
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	Token           string    `json:"token,omitempty"`
	Expiration      time.Time `json:"expiration,omitzero"`
}

// DefaultMaxBuffer is max-buffer-size when the task definition does not say (10m since June 2025).
const DefaultMaxBuffer = 10 << 20

// Validate reports what is wrong with the configuration; option names are those of the awslogs driver.
func (c Config) Validate() error {
	switch {
	case c.Spool == "":
		return fmt.Errorf("log of %s: no spool file", c.Container)
	case c.Region == "":
		return fmt.Errorf("log of %s: awslogs-region is missing", c.Container)
	case c.Group == "":
		return fmt.Errorf("log of %s: awslogs-group is missing", c.Container)
	case c.Stream == "":
		return fmt.Errorf("log of %s: no stream name", c.Container)
	case !c.Remote.Resolver.IsValid():
		return fmt.Errorf("log of %s: no resolver", c.Container)
	}
	_, err := c.startPattern()
	return err
}

// startPattern returns the expression that begins a new event, nil when every line is one.
func (c Config) startPattern() (*regexp.Regexp, error) {
	pattern := c.MultilinePattern
	if c.DatetimeFormat != "" {
		var err error
		if pattern, err = DatetimePattern(c.DatetimeFormat); err != nil {
			return nil, err
		}
	}
	if pattern == "" {
		return nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("awslogs-multiline-pattern %q: %w", pattern, err)
	}
	return re, nil
}
