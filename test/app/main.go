// Command app is the application that test stories run in their containers. It is one static binary, told by its
// environment what to be: PORTS (comma separated; or PORT; default 80) to listen on, NAME to answer with, LOG_RATE lines per second
// to log with a sequence number, START_DELAY before it listens, STOP_DELAY between SIGTERM and its end, EXIT to end with
// that code at once.
//
// It is not an example of how to write one (that is examples/web-api). Start at main; paths are in handlers.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if code := os.Getenv("EXIT"); code != "" {
		n, _ := strconv.Atoi(code)
		fmt.Println("ending with", n)
		os.Exit(n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go logLines(number("LOG_RATE", 0))
	time.Sleep(duration("START_DELAY"))
	failed := make(chan error, 1)
	handler := newHandler(os.Getenv("NAME"))
	var servers []*http.Server
	for port := range strings.SplitSeq(text("PORTS", text("PORT", "80")), ",") {
		s := &http.Server{Addr: ":" + port, Handler: handler}
		servers = append(servers, s)
		go func() {
			if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	fmt.Println("listening")
	select {
	case err := <-failed:
		fmt.Println(err)
		os.Exit(1)
	case <-ctx.Done():
	}
	fmt.Println("SIGTERM")
	time.Sleep(duration("STOP_DELAY"))
	drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, s := range servers {
		_ = s.Shutdown(drain)
	}
	fmt.Println("bye")
}

// logLines writes numbered lines forever; a reader can tell whether one is missing.
func logLines(rate float64) {
	if rate <= 0 {
		return
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	for n := 0; ; n++ {
		fmt.Printf("line %d\n", n)
		<-tick.C
	}
}

func text(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func number(name string, otherwise float64) float64 {
	if v, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil {
		return v
	}
	return otherwise
}

func duration(name string) time.Duration {
	d, _ := time.ParseDuration(os.Getenv(name))
	return d
}
