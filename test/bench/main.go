package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// minRuns is how many runs a ratio is the median of, at least.
const minRuns = 5

func main() {
	if len(os.Args) > 1 { // what this program is when it runs itself in a namespace
		switch os.Args[1] {
		case argInit, argPayload, argPing, argPong:
			os.Exit(role(os.Args[1], os.Args[2:]))
		}
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	out := flag.String("out", "", "write the rows to this file as JSON")
	only := flag.String("only", "", "run only these benchmarks (comma separated; \"list\" prints them)")
	runs := flag.Int("runs", minRuns, "runs of each benchmark; fewer than 5 are for trying out")
	flag.Parse()
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if *only == "list" {
		for _, b := range suite() {
			fmt.Printf("%-10s %s\n", b.name, b.about)
		}
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("this makes network namespaces and containers and needs root: sudo env \"PATH=$PATH\" make bench")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rows, err := runAll(ctx, chosen, *runs)
	if len(rows) > 0 {
		fmt.Println()
		printTable(os.Stdout, rows)
		if *out != "" {
			err = errors.Join(err, writeJSON(*out, rows))
		}
	}
	return err
}

// choose returns the benchmarks with those names, all for none.
func choose(names []string) ([]bench, error) {
	all := suite()
	if len(names) == 0 || slices.Equal(names, []string{"list"}) {
		return all, nil
	}
	var chosen []bench
	for _, n := range names {
		i := slices.IndexFunc(all, func(b bench) bool { return b.name == n })
		if i < 0 {
			return nil, fmt.Errorf("no benchmark %q; -only list prints them", n)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// runAll runs the benchmarks. One that fails does not keep the others from running.
func runAll(ctx context.Context, chosen []bench, runs int) (rows []Row, err error) {
	var d *daemon
	defer func() {
		if d != nil {
			say("stopping the daemon")
			err = errors.Join(err, d.stop(context.WithoutCancel(ctx)))
		}
	}()
	for _, b := range chosen {
		if ctx.Err() != nil {
			return rows, errors.Join(err, errors.New("interrupted"))
		}
		say("%s: %s", b.name, b.about)
		began := time.Now()
		var made []Row
		var failed error
		if b.inside != nil {
			made, failed = runInside(ctx, b.name, runs)
		} else {
			if d == nil {
				if d, failed = startDaemon(ctx); failed != nil {
					return rows, errors.Join(err, failed)
				}
			}
			made, failed = b.onDaemon(ctx, d, runs)
		}
		rows = append(rows, made...)
		if failed != nil {
			failed = fmt.Errorf("%s: %w", b.name, failed)
			say("%v", failed)
			err = errors.Join(err, failed)
			continue
		}
		say("%s: %.0f s", b.name, time.Since(began).Seconds())
	}
	return rows, err
}

// say tells how far the benchmarks are.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
