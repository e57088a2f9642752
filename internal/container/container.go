// Package container says what Neargate needs of a container runtime: the [Runtime] interface.
//
// The interface is a document; the conformance suite in container/runtimetest is its other half and runs against every
// implementation: container/containerd (the real one) and container/fake (for tests of what uses a runtime). Nothing
// here knows tasks, task definitions or AWS: a container gets a network namespace by path, a control group by name and
// files by bind mount, and containers with the same Group share what the runtime can share (one shim process). Pulling
// is not here either: [Runtime.Import] asks a [Fetch] function for the content that it lacks.
//
// Start at [Runtime].
package container

import (
	"context"
	"io"
	"syscall"
	"time"
)

// Runtime runs containers on this host. It is safe for concurrent use; calls about one container must not overlap,
// except Wait, Status, Signal and Exec. What does not exist is a fault of kind NotFound.
//
// Containers outlive the program that made them: after a restart List shows them, and Wait returns the exit of one that
// ended meanwhile. An implementation keeps no state that would be lost with the program.
type Runtime interface {
	// Import makes the image ready to run: content that is missing is fetched, checked against its digest, and
	// unpacked. Importing an image that is there costs nothing and fetches nothing. Concurrent imports of the same
	// content fetch it once; when that fetch fails, the next one in line fetches with its own function. After an
	// error nothing is left that was not there before, or it is collected later.
	Import(ctx context.Context, m Manifest, fetch Fetch) (Image, error)
	// Image returns an imported image by its manifest's digest.
	Image(ctx context.Context, digest string) (Image, error)
	// Images returns all imported images.
	Images(ctx context.Context) ([]Image, error)
	// DeleteImage forgets the image; containers made from it go on. Deleting what does not exist is no error.
	DeleteImage(ctx context.Context, digest string) error

	// Create makes the container with a fresh root file system and prepares its first process; it does not run yet. A
	// command that cannot be found or executed may fail here or in Start, with the runtime's words. After an error
	// nothing is left.
	Create(ctx context.Context, s Spec) error
	// Start runs the first process. Started again after it has exited, the container runs anew with the same root file
	// system and appends to the same log.
	Start(ctx context.Context, id string) error
	// Signal sends a signal to the first process. Signalling a container that has stopped is no error.
	Signal(ctx context.Context, id string, signal syscall.Signal) error
	// Wait returns when the first process has exited; at once if that was before. The last output may reach the log a
	// moment later; it is complete when Delete returns.
	Wait(ctx context.Context, id string) (Exit, error)
	// Exec runs one more process inside a running container and waits for it. When ctx ends the process is killed
	// and ctx's error returned. Output goes to Stdout and Stderr, not to the log. A command that cannot be executed is
	// a fault of kind Invalid; any other error says nothing about the container.
	Exec(ctx context.Context, id string, e Exec) (exitCode int, err error)
	// Status tells what the container is doing.
	Status(ctx context.Context, id string) (Status, error)
	// List returns all containers of this runtime, whoever made them.
	List(ctx context.Context) ([]Status, error)
	// Delete kills the container if it runs and removes all of it but its log. Deleting what does not exist is no error.
	Delete(ctx context.Context, id string) error
}

// Descriptor names a piece of content.
type Descriptor struct {
	MediaType string
	Digest    string // sha256:...
	Size      int64
}

// Manifest is an image manifest of one platform (no index).
type Manifest struct {
	Descriptor
	Raw []byte
}

// Fetch opens a piece of content that the runtime lacks: the image's configuration or a layer.
type Fetch func(ctx context.Context, d Descriptor) (io.ReadCloser, error)

// Image is what an image says about the containers made from it.
type Image struct {
	Digest       string // of the manifest
	ConfigDigest string
	Size         int64 // compressed
	OS           string
	Architecture string
	Entrypoint   []string
	Command      []string
	Env          []string // KEY=VALUE
	User         string
	WorkDir      string
	StopSignal   string // as written in the image: "SIGQUIT", "3", or empty
	Volumes      []string
	ImportedAt   time.Time
}

// Spec is a container that is asked for.
type Spec struct {
	ID     string // unique on the host; letters, digits, dash, dot, underscore
	Group  string // containers of one group share a shim process
	Labels map[string]string
	Image  string // manifest digest of an imported image

	Entrypoint []string // nil: the image's; when set, the image's Command does not apply
	Command    []string // nil: the image's
	Env        []string // KEY=VALUE, on top of the image's
	User       string   // user[:group] by name or number; empty: the image's
	WorkDir    string   // empty: the image's
	Hostname   string
	OpenStdin  bool // standard input is open and never has anything, instead of being at its end
	Init       bool // run a small init as first process that reaps orphans and passes signals on

	NetNS        string // path of the network namespace
	Mounts       []Mount
	ReadonlyRoot bool
	ShmSize      int64 // bytes of /dev/shm; 0: 64 MiB

	CgroupParent      string // group that the container's own is made in
	CPUShares         uint64
	Memory            int64 // bytes, hard; 0: none of its own
	MemoryReservation int64
	Ulimits           []Ulimit // names as ECS has them: nofile, nproc, ...
	AddCapabilities   []string // on top of the default set: SYS_PTRACE or CAP_SYS_PTRACE
	DropCapabilities  []string // ALL drops the whole set
	Sysctls           map[string]string

	LogPath string // file that standard output and error are appended to
}

// Mount is a file or folder of the host inside a container.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
	// CopyUp fills an empty Source with what the image has at Target, owner and mode included, as a volume does.
	CopyUp bool
}

// Ulimit is a resource limit of the processes.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Exec is one more process in a container. Environment, user and working directory are the container's. The end of
// Stdin hangs up a terminal; Stdin may still be read once after the process has ended.
type Exec struct {
	Args   []string
	Env    []string // on top of the container's
	Stdin  io.Reader
	Stdout io.Writer // nil: thrown away
	Stderr io.Writer // nil: thrown away; not used with TTY
	TTY    bool
	Resize <-chan WindowSize // TTY only
}

// WindowSize is the size of a terminal.
type WindowSize struct{ Rows, Columns uint16 }

// State is what a container is doing.
type State string

// The states.
const (
	Created State = "created" // not started yet
	Running State = "running"
	Stopped State = "stopped"
	Lost    State = "lost" // its process and exit status are gone, as after a reboot
)

// Status is what is seen of a container.
type Status struct {
	ID     string
	Group  string
	Labels map[string]string
	State  State
	PID    int  // of the first process, while it runs
	Exit   Exit // when stopped
}

// Exit is how the first process ended.
type Exit struct {
	Code int // 128 + signal when it was killed
	At   time.Time
	OOM  bool // the kernel killed a process of the container for lack of memory
}
