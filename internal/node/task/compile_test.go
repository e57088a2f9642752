package task

import (
	"encoding/json"
	"net/netip"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/model"
)

const taskID = "0123456789abcdef0123456789abcdef"

func testPlace() place {
	return place{region: "eu-central-1", dir: "/data/tasks/" + taskID, netns: "/run/netns/ng-task-" + taskID, cgroup: "/ng/" + taskID,
		caBundle: "/data/pki/bundle.pem", address: netip.MustParseAddr("10.0.1.7"), resolver: netip.MustParseAddr("10.0.0.2"), credentialID: "c-1"}
}

func TestCompile(t *testing.T) {
	n := 256
	task := &model.Task{ID: taskID, DefinitionKey: "web:1", Overrides: model.TaskOverrides{Containers: []model.ContainerOverride{{
		Name: "app", Command: []string{"other"}, MemoryMiB: &n, Environment: []model.NameValue{{Name: "B", Value: "override"}},
	}}}}
	d := definition(model.ContainerDefinition{
		Name: "app", Image: "web", EntryPoint: []string{"/entry"}, Command: []string{"one"}, CPU: 128, MemoryMiB: 64, MemoryReservationMiB: 32, User: "app", WorkingDirectory: "/w",
		Environment: []model.NameValue{{Name: "A", Value: "1"}, {Name: "B", Value: "definition"}}, ReadonlyRootFilesystem: true, InitProcess: true,
		MountPoints: []model.MountPoint{{SourceVolume: "data", ContainerPath: "/data/", ReadOnly: true}}, Ulimits: []model.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}},
		DropCapabilities: []string{"ALL"}, SystemControls: []model.NameValue{{Name: "net.core.somaxconn", Value: "100"}}, Log: &model.LogConfiguration{Driver: "awslogs"},
	}, model.ContainerDefinition{Name: "side", VolumesFrom: []model.VolumeFrom{{SourceContainer: "app"}}})
	d.Volumes = []model.Volume{{Name: "data"}}
	got, err := Compile(task, d, &d.Containers[0], "sha256:1", testPlace())
	if err != nil {
		t.Fatal(err)
	}
	id := runtimeID(taskID, "app")
	want := container.Spec{
		ID: id, Group: taskID, Image: "sha256:1", Labels: map[string]string{"task": taskID, "container": "app", "image": "sha256:1"},
		Entrypoint: []string{"/entry"}, Command: []string{"other"}, User: "app", WorkDir: "/w", Hostname: "ip-10-0-1-7.eu-central-1.compute.internal", Init: true,
		Env: []string{
			"AWS_EXECUTION_ENV=AWS_ECS_FARGATE", "AWS_DEFAULT_REGION=eu-central-1", "AWS_REGION=eu-central-1",
			"ECS_CONTAINER_METADATA_URI=http://169.254.170.2/v3/" + id, "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/" + id,
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/c-1", "AWS_CA_BUNDLE=" + caTarget, "SSL_CERT_FILE=" + caTarget,
			"NODE_EXTRA_CA_CERTS=" + caTarget, "REQUESTS_CA_BUNDLE=" + caTarget, "A=1", "B=definition", "B=override",
		},
		NetNS: "/run/netns/ng-task-" + taskID, ReadonlyRoot: true, CgroupParent: "/ng/" + taskID, CPUShares: 128, Memory: 256 << 20, MemoryReservation: 32 << 20,
		Ulimits: []container.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}, DropCapabilities: []string{"ALL"}, Sysctls: map[string]string{"net.core.somaxconn": "100"},
		LogPath: "/data/tasks/" + taskID + "/app.log",
		Mounts: []container.Mount{
			{Source: "/data/tasks/" + taskID + "/hosts", Target: "/etc/hosts"}, {Source: "/data/tasks/" + taskID + "/resolv.conf", Target: "/etc/resolv.conf"},
			{Source: "/data/tasks/" + taskID + "/hostname", Target: "/etc/hostname"}, {Source: "/data/pki/bundle.pem", Target: caTarget, ReadOnly: true},
			{Source: "/data/tasks/" + taskID + "/volumes/data", Target: "/data", ReadOnly: true, CopyUp: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	side, err := Compile(task, d, &d.Containers[1], "sha256:2", testPlace())
	if err != nil {
		t.Fatal(err)
	}
	last := side.Mounts[len(side.Mounts)-1]
	if last.Target != "/data" || !last.ReadOnly || side.LogPath != "" || side.CPUShares != 2 {
		t.Errorf("side is %+v", side)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]model.ContainerDefinition{
		"terminal":       {Name: "c", PseudoTerminal: true},
		"unknown volume": {Name: "c", MountPoints: []model.MountPoint{{SourceVolume: "x", ContainerPath: "/x"}}},
		"relative path":  {Name: "c", MountPoints: []model.MountPoint{{SourceVolume: "v", ContainerPath: "x"}}},
		"root":           {Name: "c", MountPoints: []model.MountPoint{{SourceVolume: "v", ContainerPath: "/."}}},
		"memory":         {Name: "c", MemoryMiB: -1},
	} {
		d := definition(c)
		d.Volumes = []model.Volume{{Name: "v"}}
		if _, err := Compile(&model.Task{ID: taskID}, d, &d.Containers[0], "sha256:1", testPlace()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFiles(t *testing.T) {
	at := testPlace()
	want := "127.0.0.1 localhost\n10.0.1.7 ip-10-0-1-7.eu-central-1.compute.internal\n|search eu-central-1.compute.internal\nnameserver 10.0.0.2\n|ip-10-0-1-7.eu-central-1.compute.internal\n"
	if diff := cmp.Diff(want, hostsFile(at)+"|"+resolvFile(at)+"|"+hostnameFile(at)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckCommand(t *testing.T) {
	for _, test := range []struct{ in, want []string }{
		{[]string{"CMD", "curl", "x"}, []string{"curl", "x"}}, {[]string{"CMD-SHELL", "curl x || exit 1"}, []string{"/bin/sh", "-c", "curl x || exit 1"}},
		{[]string{"curl", "x"}, []string{"curl", "x"}}, {[]string{"NONE"}, nil}, {nil, nil},
	} {
		if diff := cmp.Diff(test.want, checkCommand(test.in)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRuntimeID(t *testing.T) {
	a, b := runtimeID(taskID, "app"), runtimeID(taskID, "side")
	tail := strings.TrimPrefix(a, taskID+"-")
	if a == b || len(tail) != 10 || strings.Trim(tail, "0123456789") != "" {
		t.Errorf("identifiers are %s, %s", a, b)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "10m": 10 << 20, "1G": 1 << 30, "25mb": 25 << 20, "4096": 4096, "4k": 4096, "x": -1, "-1": -1, "m": -1, "9999999999999g": -1} {
		got, err := parseSize(text)
		if (err != nil) != (want < 0) || (err == nil && got != want) {
			t.Errorf("parseSize(%q) = %d, %v", text, got, err)
		}
	}
}

func TestStopSignal(t *testing.T) {
	for text, want := range map[string]int{"": 15, "SIGQUIT": 3, "quit": 3, "9": 9, "nonsense": 15, "99": 15} {
		if got := int(stopSignal(text)); got != want {
			t.Errorf("stopSignal(%q) = %d, want %d", text, got, want)
		}
	}
}

// Whatever a task definition says, its containers see nothing of the host but the task's own files, and no mount goes
// over the root.
func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"name":"app","mountPoints":[{"sourceVolume":"v","containerPath":"/v"}],"memory":1}`))
	f.Add([]byte(`{"name":"app","mountPoints":[{"sourceVolume":"../v","containerPath":"/../etc"}],"linuxParameters":{}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var c model.ContainerDefinition
		if json.Unmarshal(doc, &c) != nil {
			return
		}
		d := definition(c)
		d.Volumes = []model.Volume{{Name: "v"}, {Name: ".."}, {Name: "../v"}}
		at := testPlace()
		s, err := Compile(&model.Task{ID: taskID}, d, &d.Containers[0], "sha256:1", at)
		if err != nil {
			return
		}
		for _, m := range s.Mounts {
			if m.Source != at.caBundle && !strings.HasPrefix(path.Clean(m.Source), at.dir+"/") {
				t.Errorf("mounts %s of the host", m.Source)
			}
			if m.Target == "/" || m.Target != path.Clean(m.Target) || !path.IsAbs(m.Target) {
				t.Errorf("mounts on %s", m.Target)
			}
		}
		if s.Group != taskID || s.NetNS != at.netns || s.CgroupParent != at.cgroup {
			t.Errorf("left its place: %+v", s)
		}
	})
}
