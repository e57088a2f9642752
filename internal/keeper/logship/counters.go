package logship

// Counters tell how far one container's output has got.
type Counters struct {
	Container string `json:"container"`
	Written   int64  `json:"written"`   // bytes in the spool so far
	Shipped   int64  `json:"shipped"`   // bytes sent, or dropped
	Dropped   int64  `json:"dropped"`   // bytes dropped, in non-blocking mode
	Events    int64  `json:"events"`    // sent
	Failures  int64  `json:"failures"`  // of PutLogEvents calls
	LastError string `json:"lastError"` // empty after a success
}
