package containerd

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

func TestProcessArgs(t *testing.T) {
	image := container.Image{Entrypoint: []string{"/entry"}, Command: []string{"default"}}
	for _, test := range []struct{ entry, command, want []string }{
		{nil, nil, []string{"/entry", "default"}},
		{nil, []string{"own"}, []string{"/entry", "own"}},
		{[]string{"/mine"}, nil, []string{"/mine"}}, // the image's command belongs to the image's entry point
		{[]string{"/mine"}, []string{"own"}, []string{"/mine", "own"}},
	} {
		got, err := processArgs(container.Spec{Entrypoint: test.entry, Command: test.command}, image)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	for _, s := range []container.Spec{{}, {Command: []string{"a\x00b"}}} {
		if _, err := processArgs(s, container.Image{}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v gave %v", s, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	got := environment([]string{"PATH=/image", "A=image", "B=image", "broken"}, []string{"B=own", "C=own", "B=again", "=x"}, "web")
	if diff := cmp.Diff([]string{"PATH=/image", "HOSTNAME=web", "A=image", "B=again", "C=own"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{defaultPath, "HOSTNAME=mine"}, environment(nil, []string{"HOSTNAME=mine"}, "")); diff != "" {
		t.Error(diff)
	}
}

func TestMounts(t *testing.T) {
	s := container.Spec{Mounts: []container.Mount{{Source: "/b", Target: "/data/inner"}, {Source: "/a", Target: "/data/", ReadOnly: true}}}
	list, err := mounts(s)
	if err != nil {
		t.Fatal(err)
	}
	last := list[len(list)-2:]
	if last[0].Destination != "/data" || last[1].Destination != "/data/inner" || !slices.Contains(last[0].Options, "ro") || !slices.Contains(last[1].Options, "rw") {
		t.Errorf("mounts are %+v", last)
	}
	shm, err := mounts(container.Spec{Mounts: []container.Mount{{Source: "/a", Target: "/dev/shm"}}})
	if err != nil || len(shm) != len(list)-2 || shm[len(shm)-1].Type != "bind" {
		t.Errorf("mounts are %+v, %v", shm, err)
	}
	for _, targets := range [][]string{{"/"}, {"x"}, {""}, {"/a", "/a/"}, {"/../"}, {"/proc"}, {"/sys/fs"}} {
		s := container.Spec{}
		for _, target := range targets {
			s.Mounts = append(s.Mounts, container.Mount{Source: "/x", Target: target})
		}
		if _, err := mounts(s); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v gave %v", targets, err)
		}
	}
}

func TestLimits(t *testing.T) {
	got, err := processLimits([]container.Ulimit{{Name: "nproc", Soft: 5, Hard: 6}, {Name: "core", Soft: -1, Hard: -1}}, 100)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, l := range got {
		text = append(text, l.Type)
	}
	if diff := cmp.Diff([]string{"RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_NPROC"}, text); diff != "" || got[0].Soft != ^uint64(0) || got[1].Hard != 100 {
		t.Errorf("%s %+v", diff, got)
	}
	for _, u := range []container.Ulimit{{Name: "nothing"}, {Name: "nofile", Soft: 2, Hard: 1}} {
		if _, err := processLimits([]container.Ulimit{u}, 100); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v gave %v", u, err)
		}
	}
}

func TestUsers(t *testing.T) {
	u := parseUsers("root:x:0:0::/root:/bin/sh\n# comment:x:5:5\nbroken\nweb:x:33:34::/:/bin/false\n", "root:x:0:\nweb:x:34:\nlog:x:50:web,other\nbig:x:99999999999:\n")
	for text, want := range map[string]string{
		"": "0:0[]", "root": "0:0[]", "web": "33:34[50]", "33": "33:34[50]", "web:log": "33:50[]", "web:7": "33:7[]", "1234": "1234:0[]", "0:web": "0:34[]",
		"nobody": "error", "web:nogroup": "error", "4294967295": "error", "-1": "error",
	} {
		got := "error"
		if user, err := u.resolve(text); err == nil {
			raw, _ := json.Marshal(user.AdditionalGids)
			got = strings.ReplaceAll(strings.Join([]string{num(user.UID), num(user.GID)}, ":")+string(raw), "null", "[]")
		} else if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q gave %v", text, err)
		}
		if got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func num(n uint32) string { raw, _ := json.Marshal(n); return string(raw) }

func FuzzUsers(f *testing.F) {
	f.Add("root:x:0:0::/root:/bin/sh\n", "root:x:0:\n", "root:root")
	f.Fuzz(func(t *testing.T, passwd, groups, text string) {
		user, err := parseUsers(passwd, groups).resolve(text)
		if err == nil && (user.UID > maxID || user.GID > maxID) {
			t.Errorf("%q is %+v", text, user)
		}
	})
}

// Whatever is asked for, the container is confined.
func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"ID":"a","Command":["x"],"AddCapabilities":["SYS_PTRACE"],"Mounts":[{"Source":"/s","Target":"/t"}],"Memory":1}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		var s container.Spec
		if json.Unmarshal(doc, &s) != nil {
			return
		}
		spec, err := Compile(s, host{nofile: 100, init: []string{"/init"}})
		if err != nil {
			return
		}
		if !spec.Process.NoNewPrivileges || spec.Linux.Seccomp == nil || len(spec.Linux.MaskedPaths) == 0 || len(spec.Linux.Namespaces) != 5 || spec.Linux.Resources.Devices[0].Allow {
			t.Errorf("container is not confined: %+v", spec)
		}
		for i := range spec.Mounts {
			for j := range i {
				if spec.Mounts[i].Destination == spec.Mounts[j].Destination {
					t.Errorf("two mounts on %s", spec.Mounts[i].Destination)
				}
			}
		}
	})
}
