// Command app is the example's web API: a small HTTP server that says where it runs, so that one can see which task
// answered a request. It is one static file; `neargate push --binary` makes an image of it.
//
// `app get URL` fetches one page instead: a way to look around from inside a task, whose image has no shell.
//
// It behaves as a service behind a load balancer should: on SIGTERM it finishes the requests that it has and closes
// connections that wait for more, and it logs one line per request to standard output.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	usualPort = "8080"
	// stopTimeout is less than the 30 seconds after which ECS kills.
	stopTimeout = 25 * time.Second
	maxWork     = 30 * time.Second
)

// place is where this copy of the program runs.
type place struct {
	Task     string `json:"task"`
	AZ       string `json:"az"`
	Address  string `json:"address"`
	Hostname string `json:"hostname"`
	Version  string `json:"version"`
}

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = run()
	case len(args) == 2 && args[0] == "get":
		err = get(args[1])
	default:
		fmt.Println("app: serve on $PORT (8080)\napp get URL: print what a URL answers, as seen from here")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// get prints what a URL answers.
func get(url string) error {
	client := &http.Client{Timeout: maxWork}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Println(resp.Proto, resp.Status)
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	here := findPlace(ctx)
	port := os.Getenv("PORT")
	if port == "" {
		port = usualPort
	}
	server := &http.Server{Addr: ":" + port, Handler: logged(handler(here)), ReadHeaderTimeout: 10 * time.Second}
	log.Printf("listening on :%s as task %s in %s at %s", port, here.Task, here.AZ, here.Address)
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Printf("stopping: finishing the requests under way")
	end, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	// Shutdown takes no new connection, answers what is under way with "Connection: close" and closes the rest.
	if err := server.Shutdown(end); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	log.Printf("stopped")
	return nil
}

// handler answers the paths of the API.
func handler(here place) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(here)
	})
	healthy := func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /health", healthy)
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /work", func(w http.ResponseWriter, r *http.Request) {
		ms, err := strconv.Atoi(r.URL.Query().Get("ms"))
		d := time.Duration(ms) * time.Millisecond
		if err != nil || d < 0 || d > maxWork {
			http.Error(w, fmt.Sprintf("ms has to be a number from 0 to %d", maxWork.Milliseconds()), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(d):
			_, _ = fmt.Fprintf(w, "worked %d ms\n", ms)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /headers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.Header)
	})
	return mux
}

// logged writes a line per request. Health checks would drown the others: of those only the first is written.
func logged(next http.Handler) http.Handler {
	var checked atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		answer := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		if strings.HasPrefix(r.URL.Path, "/health") && answer.status == http.StatusOK && checked.Swap(true) {
			return
		}
		client := r.Header.Get("X-Forwarded-For")
		if client == "" {
			client, _, _ = net.SplitHostPort(r.RemoteAddr)
		}
		log.Printf("%s %s %s %d %.1fms", client, r.Method, r.URL.RequestURI(), answer.status, float64(time.Since(began).Microseconds())/1000)
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// findPlace asks the task's metadata endpoint; outside of ECS it tells what it knows.
func findPlace(ctx context.Context) place {
	here := place{Task: "none", AZ: "none", Version: os.Getenv("VERSION")}
	here.Hostname, _ = os.Hostname()
	uri := os.Getenv("ECS_CONTAINER_METADATA_URI_V4")
	if uri == "" {
		return here
	}
	if err := readMetadata(ctx, uri, &here); err != nil {
		log.Printf("metadata: %v", err)
	}
	return here
}

func readMetadata(ctx context.Context, uri string, here *place) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var task struct {
		TaskARN          string
		AvailabilityZone string
		Containers       []struct {
			Networks []struct{ IPv4Addresses []string }
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri+"/task", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&task); err != nil {
		return err
	}
	here.Task, here.AZ = task.TaskARN[strings.LastIndexByte(task.TaskARN, '/')+1:], task.AvailabilityZone
	for _, c := range task.Containers {
		for _, n := range c.Networks {
			if len(n.IPv4Addresses) > 0 {
				here.Address = n.IPv4Addresses[0]
				return nil
			}
		}
	}
	return nil
}
