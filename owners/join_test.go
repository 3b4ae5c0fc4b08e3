package owners

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

func proxyArgs(extra ...string) []string {
	return append([]string{"/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8081",
		"-container-ip", "172.17.0.2", "-container-port", "80"}, extra...)
}

func TestParseProxy(t *testing.T) {
	at := bind(t, "tcp", "0.0.0.0:8081")
	want := monban.Target{Addr: netip.MustParseAddr("172.17.0.2"), Port: 80}
	for name, argv := range map[string][]string{
		"docker 20":    proxyArgs(),
		"docker 28":    proxyArgs("-use-listen-fd"),
		"equals signs": {"docker-proxy", "-proto=tcp", "--host-port=8081", "-container-ip=172.17.0.2", "--container-port=80"},
	} {
		if to, ok := parseProxy(argv, at); !ok || to != want {
			t.Errorf("%s: %+v, %v", name, to, ok)
		}
	}
	if _, ok := parseProxy(proxyArgs(), bind(t, "tcp", "0.0.0.0:8082")); ok {
		t.Error("another port is taken for this one")
	}
	if _, ok := parseProxy(proxyArgs(), bind(t, "udp", "0.0.0.0:8081")); ok {
		t.Error("another transport is taken for this one")
	}
	for i := range proxyArgs() {
		if to, ok := parseProxy(proxyArgs()[:i], at); ok || to != (monban.Target{}) {
			t.Errorf("cut at %d: %+v", i, to)
		}
	}
}

func FuzzParseProxy(f *testing.F) {
	f.Add(strings.Join(proxyArgs(), "\x00"))
	f.Fuzz(func(t *testing.T, s string) {
		to, ok := parseProxy(strings.Split(s, "\x00"), monban.Bind{Port: monban.Port{Num: 8081, Proto: monban.TCP}})
		if !ok && to != (monban.Target{}) || ok && (to.Port == 0 || !to.Addr.IsValid()) {
			t.Errorf("%+v, %v", to, ok)
		}
	})
}

// web is a container that publishes 8081 as Docker tells it.
func web(t testing.TB) monban.Container {
	ip := netip.MustParseAddr("172.17.0.2")
	return monban.Container{ID: id1, Name: "web", Image: "nginx", Engine: "docker", Published: []monban.Published{
		{Host: bind(t, "tcp", "0.0.0.0:8081"), Target: 80, Addr: ip},
		{Host: bind(t, "tcp", "[::]:8081"), Target: 80, Addr: ip},
	}}
}

func listen(b monban.Bind, owners ...monban.Owner) monban.Door {
	return monban.Door{Bind: b, State: monban.Listen, Owners: owners}
}

func hiddenDoor(b monban.Bind, h monban.Hidden, uid uint32) monban.Door {
	return monban.Door{Bind: b, State: monban.Listen, Unnamed: h, UID: uid}
}

// forwarded returns where the doors of state Forwarded are.
func forwarded(doors []monban.Door) []string {
	var list []string
	for _, d := range doors {
		if d.State == monban.Forwarded {
			list = append(list, d.Bind.Port.Proto.String()+" "+netip.AddrPortFrom(d.Bind.Addr, d.Bind.Port.Num).String())
		}
	}
	slices.Sort(list)
	return list
}

func TestJoin(t *testing.T) {
	four, six := bind(t, "tcp", "0.0.0.0:8081"), bind(t, "tcp", "[::]:8081")
	six2 := six
	six2.V6Only = monban.On
	proxy := monban.Owner{PID: 7, Name: "docker-proxy", Command: proxyArgs()}
	stale := monban.Owner{PID: 7, Name: "docker-proxy", Command: strings.Split(strings.ReplaceAll(strings.Join(proxyArgs(), " "), "172.17.0.2", "172.17.0.9"), " ")}
	python := monban.Owner{PID: 8, Name: "python3"}
	toWeb := monban.Target{Addr: netip.MustParseAddr("172.17.0.2"), Port: 80, Container: id1}
	both := []string{"tcp 0.0.0.0:8081", "tcp [::]:8081"}
	for _, test := range []struct {
		name      string
		door      monban.Door
		to        monban.Target
		container string // of the first owner
		forwarded []string
	}{
		{"docker-proxy", listen(four, proxy), toWeb, id1, both[1:]},
		{"docker-proxy of both families", listen(six, monban.Owner{Name: "docker-proxy", Command: proxyArgs()}), toWeb, id1, nil},
		{"docker-proxy of IPv6 alone", listen(six2, monban.Owner{Name: "docker-proxy", Command: proxyArgs()}), toWeb, id1, both[:1]},
		{"a stale docker-proxy", listen(four, stale), monban.Target{Addr: netip.MustParseAddr("172.17.0.9"), Port: 80}, "", both},
		{"dockerd itself", listen(four, monban.Owner{Name: "dockerd"}), toWeb, id1, both[1:]},
		{"rootlesskit", listen(six, monban.Owner{Name: "rootlesskit"}), toWeb, id1, nil},
		{"conmon of this container", listen(four, monban.Owner{Name: "conmon", Command: []string{"conmon", "--api-version", "1", "-c", id1}}), toWeb, id1, both[1:]},
		{"conmon of another container", listen(four, monban.Owner{Name: "conmon", Command: []string{"conmon", "-c", id2}}), monban.Target{}, id2, both},
		{"a program of the host", listen(four, python), monban.Target{}, "", both},
		{"a hidden process of root", hiddenDoor(four, monban.HiddenPrivilege, 0), toWeb, "", both[1:]},
		{"a hidden process of another", hiddenDoor(four, monban.HiddenPrivilege, 1000), monban.Target{}, "", both},
		{"nobody's", hiddenDoor(four, monban.HiddenKernel, 0), monban.Target{}, "", both},
		{"a hidden process at one address", hiddenDoor(bind(t, "tcp", "127.0.0.1:8081"), monban.HiddenPrivilege, 0), monban.Target{}, "", both},
		{"another transport", listen(bind(t, "udp", "0.0.0.0:8081"), monban.Owner{Name: "dockerd"}), monban.Target{}, "", both},
		{"another port", listen(bind(t, "tcp", "0.0.0.0:8082"), monban.Owner{Name: "dockerd"}), monban.Target{}, "", both},
		{"another namespace", func() monban.Door {
			d := listen(four, monban.Owner{Name: "dockerd"})
			d.Bind.NetNS = "net:[5]"
			return d
		}(), monban.Target{}, "", both},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := []monban.Door{test.door}
			in[0].To = forwardTarget(&in[0]) // as Name does
			before := slices.Clone(in[0].Owners)
			doors, containers := Join(in, []monban.Container{web(t)})
			if d := doors[0]; d.To != test.to {
				t.Errorf("leads to %+v, want %+v", d.To, test.to)
			}
			if o := doors[0].Owners; len(o) > 0 && o[0].Container != test.container {
				t.Errorf("container %q, want %q", o[0].Container, test.container)
			}
			if got := forwarded(doors); !slices.Equal(got, test.forwarded) {
				t.Errorf("forwarded %q, want %q", got, test.forwarded)
			}
			if !reflect.DeepEqual(before, in[0].Owners) {
				t.Errorf("the argument was written to: %+v", in[0].Owners)
			}
			if containers[0].ID != id1 {
				t.Errorf("containers %+v", containers)
			}
		})
	}
}

func TestJoinAmbiguous(t *testing.T) {
	// Two containers publish the number on addresses of their own; a helper
	// that has every address is not known to be either's.
	one, two := web(t), web(t)
	one.Published = []monban.Published{{Host: bind(t, "tcp", "192.0.2.1:8081"), Target: 80}}
	two.ID, two.Published = id2, []monban.Published{{Host: bind(t, "tcp", "192.0.2.2:8081"), Target: 81}}
	doors, _ := Join([]monban.Door{listen(bind(t, "tcp", "0.0.0.0:8081"), monban.Owner{Name: "rootlessport"})}, []monban.Container{one, two})
	if doors[0].To != (monban.Target{}) {
		t.Errorf("leads to %+v", doors[0].To)
	}
	doors, _ = Join([]monban.Door{listen(bind(t, "tcp", "192.0.2.2:8081"), monban.Owner{Name: "rootlessport"})}, []monban.Container{one, two})
	if doors[0].To.Container != id2 {
		t.Errorf("leads to %+v", doors[0].To)
	}
}

func TestJoinIDs(t *testing.T) {
	shared := []monban.Owner{{PID: 1, Name: "node", Container: id1[:12]}, {PID: 2, Name: "x", Container: "web-1"}, {PID: 3, Name: "y"}}
	at := bind(t, "tcp", "0.0.0.0:3000")
	doors, containers := Join([]monban.Door{listen(at, shared...), listen(at, shared...)},
		[]monban.Container{{ID: id1, Name: "app"}, {ID: id2}})
	for _, d := range doors {
		if d.Owners[0].Container != id1 || d.Owners[1].Container != "web-1" || d.Owners[2].Container != "" {
			t.Errorf("%+v", d.Owners)
		}
	}
	if shared[0].Container != id1[:12] {
		t.Error("a shared list was written to")
	}
	want := []string{id1, id2, "web-1"}
	var got []string
	for _, c := range containers {
		got = append(got, c.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("containers %q, want %q", got, want)
	}
	// An ID that two begin with is left alone.
	twin := id1[:63] + "0"
	doors, _ = Join([]monban.Door{listen(at, shared[0])}, []monban.Container{{ID: id1}, {ID: twin}})
	if got := doors[0].Owners[0].Container; got != id1[:12] {
		t.Errorf("ambiguous: %q", got)
	}
}

func TestJoinPod(t *testing.T) {
	// The containers of a pod all tell of the pod's ports.
	one, two := web(t), web(t)
	two.ID = id2
	doors, _ := Join(nil, []monban.Container{one, two})
	if got := forwarded(doors); !slices.Equal(got, []string{"tcp 0.0.0.0:8081", "tcp [::]:8081"}) {
		t.Errorf("forwarded %q", got)
	}
	if d := doors[0]; d.To.Container != id1 || d.To.Port != 80 || d.Unnamed != monban.NotHidden || len(d.Owners) != 0 {
		t.Errorf("%+v", d)
	}
}
