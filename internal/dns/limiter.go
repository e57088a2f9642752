package dns

import (
	"net/netip"
	"sync"
	"time"
)

// limiter is a token bucket per source address. An address that was silent for a second is as good as new, so the
// table is emptied of such now and then and stays as small as the number of those who are asking.
type limiter struct {
	rate   float64 // packets per second, and the depth of the bucket
	shards [16]limiterShard
}

type limiterShard struct {
	mu      sync.Mutex
	buckets map[netip.Addr]bucket
	swept   time.Time
}

type bucket struct {
	tokens float64
	last   time.Time
}

func newLimiter(rate float64) *limiter { return &limiter{rate: rate} }

// allow takes one token of the address and reports whether there was one.
func (l *limiter) allow(from netip.Addr, now time.Time) bool {
	b := from.As16()
	s := &l.shards[b[15]&15]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		s.buckets = map[netip.Addr]bucket{}
	}
	if len(s.buckets) >= 64 && now.Sub(s.swept) > time.Second {
		s.swept = now
		for addr, b := range s.buckets {
			if now.Sub(b.last) > time.Second {
				delete(s.buckets, addr)
			}
		}
	}
	cur, ok := s.buckets[from]
	if !ok {
		cur = bucket{tokens: l.rate, last: now}
	}
	if passed := now.Sub(cur.last).Seconds(); passed > 0 {
		cur.tokens = min(l.rate, cur.tokens+passed*l.rate)
		cur.last = now
	}
	allowed := cur.tokens >= 1
	if allowed {
		cur.tokens--
	}
	s.buckets[from] = cur
	return allowed
}
