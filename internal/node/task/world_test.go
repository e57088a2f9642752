package task

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/container/fake"
	"github.com/neargate/neargate/internal/container/runtimetest"
	"github.com/neargate/neargate/internal/container/runtimetest/probe"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

const hub = "registry.example.com"

// world is everything around a manager, in memory: a registry and a log service behind TLS, and fakes of the rest.
type world struct {
	t       *testing.T
	db      *store.DB
	tables  *store.Tables
	runtime container.Runtime
	config  Config
	image   *runtimetest.Image

	mu       sync.Mutex
	cut      map[string]bool // hosts that cannot be reached
	noGroup  bool            // the log group does not exist
	streams  []string
	attached map[string]bool
	nss      map[string]bool
	groups   map[string]cgroup.Limits
	kept     map[string]keeper.Task
	puts     int
	drained  []string
	noRole   bool
}

// runProbe is the program of fake containers.
func runProbe(p fake.Process) int {
	return probe.Run(probe.Process{Args: p.Args[1:], Env: p.Env, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals})
}

func newWorld(t *testing.T, binary []byte) *world {
	t.Helper()
	image, err := runtimetest.ProbeImage(binary)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, image: image, cut: map[string]bool{}, attached: map[string]bool{}, nss: map[string]bool{}, groups: map[string]cgroup.Limits{}, kept: map[string]keeper.Task{}}
	w.db, w.tables = storetest.New(t)
	w.runtime = fake.New(runProbe)
	server := httptest.NewUnstartedServer(w)
	cert, roots, caPEM := serverCertificate(t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, caPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	w.config = Config{
		DB: w.db, Tables: w.tables, Scope: model.Scope{Account: "000000000000", Region: "us-east-1"}, Host: "here", Dir: t.TempDir(),
		Network: w, Keeper: w, Credentials: w, Namespaces: (*worldNamespaces)(w), Groups: (*worldGroups)(w), Clock: clock.New(1000), Roots: roots, CABundle: bundle,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Dial: func(ctx context.Context, namespace string, resolver netip.AddrPort, network, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			w.mu.Lock()
			cut, inside := w.cut[host], w.attached["eni-"+strings.TrimPrefix(namespace, "ng-task-")]
			w.mu.Unlock()
			if cut || !inside || resolver.String() != "10.0.0.2:53" {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(198, 19, 0, 10), Port: 443}, Err: os.ErrDeadlineExceeded}
			}
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	w.update(func(tx *store.Txn) {
		w.tables.VPCs.Put(tx, &model.VPC{ID: "vpc-1", CIDRs: []model.VPCCIDR{{Block: netip.MustParsePrefix("10.0.0.0/16")}}})
		w.tables.Subnets.Put(tx, &model.Subnet{ID: "subnet-1", VPCID: "vpc-1", CIDR: netip.MustParsePrefix("10.0.1.0/24")})
	})
	return w
}

func serverCertificate(t *testing.T) (tls.Certificate, *x509.CertPool, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{hub, "logs.us-east-1.amazonaws.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := x509.ParseCertificate(der)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ServeHTTP is the registry and CloudWatch Logs.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Host == hub {
		part := strings.Split(r.URL.Path, "/")
		id := part[len(part)-1]
		content := w.image.Blobs[id]
		if part[len(part)-2] == "manifests" && (id == "latest" || id == w.image.Manifest.Digest) {
			content = w.image.Manifest.Raw
		}
		if content == nil {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		rw.Header().Set("Docker-Content-Digest", runtimetest.Digest(content))
		_, _ = rw.Write(content)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
	operation := r.Header.Get("X-Amz-Target")
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasSuffix(operation, "CreateLogGroup"):
		w.noGroup = false
	case w.noGroup:
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(rw, `{"__type":"ResourceNotFoundException","message":"The specified log group does not exist."}`)
		return
	default:
		w.streams = append(w.streams, string(body))
	}
	fmt.Fprint(rw, "{}")
}

func (w *world) AttachENI(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.nss["ng-task-"+strings.TrimPrefix(id, "eni-")] {
		return fmt.Errorf("no namespace for %s", id)
	}
	w.attached[id] = true
	return nil
}

func (w *world) DetachENI(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.attached, id)
	return nil
}

func (w *world) PutTask(_ context.Context, t keeper.Task) error {
	if err := t.Validate(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[t.ID] = t
	w.puts++
	return nil
}

func (w *world) DrainTask(_ context.Context, id string, _ time.Duration) (keeper.DrainResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drained = append(w.drained, id)
	return keeper.DrainResult{Drained: true}, nil
}

func (w *world) Delete(_ context.Context, _ keeper.Kind, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.kept, id)
	return nil
}

func (w *world) Prune(_ context.Context, _ keeper.Kind, keep []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.kept {
		if !slices.Contains(keep, id) {
			delete(w.kept, id)
		}
	}
	return nil
}

func (w *world) Issue(_ context.Context, role, task string) (model.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noRole {
		return model.Session{}, fault.NewNotFound("role", role)
	}
	return model.Session{AccessKeyID: "ASIA" + role, Secret: "secret", Token: "token", TaskID: task, ExpiresAt: time.Now().Add(time.Hour)}, nil
}

type worldNamespaces world

func (n *worldNamespaces) Ensure(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nss[name] = true
	return nil
}

func (n *worldNamespaces) Delete(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nss, name)
	return nil
}

func (n *worldNamespaces) List() (names []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.nss {
		names = append(names, name)
	}
	return names, nil
}

type worldGroups world

func (g *worldGroups) Ensure(group string, l cgroup.Limits) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[group] = l
	return nil
}

func (g *worldGroups) List(parent string) (names []string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for group := range g.groups {
		names = append(names, strings.TrimPrefix(group, parent+"/"))
	}
	return names, nil
}

func (g *worldGroups) Kill(string) error { return nil }

func (g *worldGroups) Remove(group string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.groups, group)
	return nil
}

func (g *worldGroups) Stats(string) (cgroup.Stats, error) { return cgroup.Stats{Memory: 1}, nil }

func (w *world) update(fn func(tx *store.Txn)) {
	w.t.Helper()
	if err := w.db.Update(context.Background(), func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// run starts a manager; the returned function ends it as a dying daemon would.
func (w *world) run() (m *Manager, end func()) {
	w.config.Runtime = w.runtime
	m = New(w.config)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	end = sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.t.Cleanup(end)
	return m, end
}

// app is a container that the probe runs in.
func app(name string, command ...string) model.ContainerDefinition {
	return model.ContainerDefinition{Name: name, Image: hub + "/web", Essential: true, Command: command}
}

// launch registers a definition and places a task on this host.
func (w *world) launch(containers ...model.ContainerDefinition) string {
	return w.launchAs(func(*model.Task, *model.TaskDefinition) {}, containers...)
}

func (w *world) launchAs(change func(*model.Task, *model.TaskDefinition), containers ...model.ContainerDefinition) string {
	w.t.Helper()
	id := model.NewTaskID()
	d := &model.TaskDefinition{Family: "web-" + id, Revision: 1, CPU: 256, MemoryMiB: 512, Containers: containers, ExecutionRoleARN: "arn:exec", TaskRoleARN: "arn:task"}
	t := &model.Task{ID: id, ARN: w.config.Scope.TaskARN("c", id), Cluster: "c", DefinitionKey: d.Key(), CPU: 256, MemoryMiB: 512, VPCID: "vpc-1", SubnetID: "subnet-1", ENIID: "eni-" + id,
		Host: "here", Desired: model.DesiredRunning, State: model.TaskProvisioning, PrivateIP: netip.MustParseAddr("10.0.1.7"), Version: 1}
	change(t, d)
	w.update(func(tx *store.Txn) {
		w.tables.TaskDefinitions.Put(tx, d)
		w.tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{ID: t.ENIID, PrivateIPs: []netip.Addr{t.PrivateIP}})
		w.tables.Sessions.Put(tx, &model.Session{AccessKeyID: "ASIA" + id, TaskID: id})
		w.tables.Tasks.Put(tx, t)
	})
	return id
}

func (w *world) task(id string) *model.Task {
	t, _ := w.tables.Tasks.Get(w.db.View(), id)
	return t
}

func (w *world) edit(id string, change func(*model.Task)) {
	w.update(func(tx *store.Txn) { w.tables.Tasks.Edit(tx, id, change) })
}

func (w *world) askToStop(id string) {
	w.edit(id, func(t *model.Task) {
		t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, model.StopUserInitiated, "Task stopped by user"
	})
}

// await waits until the record is as wanted, and checks on the way that states never go back.
func (w *world) await(id string, what string, is func(*model.Task) bool) *model.Task {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	changes := w.tables.Tasks.Changes(ctx)
	defer changes.Stop()
	last := model.TaskState(0)
	for {
		t := w.task(id)
		if t.State < last {
			w.t.Fatalf("state went back from %v to %v", last, t.State)
		}
		last = t.State
		if is(t) {
			return t
		}
		if _, _, err := changes.Next(ctx); err != nil {
			buf := make([]byte, 1<<16)
			w.t.Fatalf("task never became %s: %+v\n%s", what, t, buf[:runtime.Stack(buf, true)])
		}
	}
}

func (w *world) awaitState(id string, state model.TaskState) *model.Task {
	w.t.Helper()
	return w.await(id, state.String(), func(t *model.Task) bool { return t.State >= state })
}

// nothingLeft checks that the task has left no trace.
func (w *world) nothingLeft(id string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if list, err := w.runtime.List(context.Background()); err != nil || len(list) != 0 {
		w.t.Errorf("containers left: %v, %v", list, err)
	}
	if len(w.attached)+len(w.nss)+len(w.groups)+len(w.kept) != 0 {
		w.t.Errorf("left: interfaces %v, namespaces %v, groups %v, keeper %v", w.attached, w.nss, w.groups, len(w.kept))
	}
	if _, err := os.Stat(filepath.Join(w.config.Dir, id)); err == nil {
		w.t.Error("files left")
	}
	view := w.db.View()
	if w.tables.NetworkInterfaces.Len(view) != 0 || w.tables.Sessions.LenBy(view, "task", id) != 0 {
		w.t.Error("records left")
	}
}
