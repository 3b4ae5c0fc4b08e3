package report

import (
	"time"

	"github.com/monban-dev/monban"
)

// The JSON shapes of doors and owners, as the command contract names them.

type doorWire struct {
	Proto    string      `json:"proto"`
	Address  string      `json:"address"`
	Port     uint16      `json:"port"`
	Device   string      `json:"device"`
	V6Only   bool        `json:"v6only"`
	State    string      `json:"state"`
	To       *targetWire `json:"to,omitempty"`
	Class    string      `json:"class"`
	Assigned string      `json:"assigned"`
	UID      uint32      `json:"uid"`
	Inode    uint64      `json:"inode"`
	NetNS    string      `json:"netns"`
	Owners   []ownerWire `json:"owners"`
	// Reach is absent until it is computed: absent is not closed.
	Reach []reachWire `json:"reach,omitzero"`
}

type targetWire struct {
	Address   string `json:"address"`
	Port      uint16 `json:"port"`
	Container string `json:"container"`
}

type ownerWire struct {
	PID       int            `json:"pid"`
	Name      string         `json:"name"`
	Exe       string         `json:"exe"`
	Deleted   bool           `json:"deleted"`
	Command   []string       `json:"command"`
	User      string         `json:"user"`
	UID       uint32         `json:"uid"`
	Unit      string         `json:"unit"`
	Container *containerWire `json:"container,omitempty"`
	Dir       string         `json:"dir"`
	Project   string         `json:"project"`
	Parents   []parentWire   `json:"parents"`
	Started   string         `json:"started,omitempty"` // RFC 3339
}

type containerWire struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Image   string `json:"image"`
	Project string `json:"project"`
	Service string `json:"service"`
}

type parentWire struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

// doors returns the shapes of doors, in their usual order.
func (v *view) doors(doors []monban.Door) []doorWire {
	out := make([]doorWire, 0, len(doors))
	for _, d := range sortedDoors(doors) {
		out = append(out, v.door(d))
	}
	return out
}

func (v *view) door(d *monban.Door) doorWire {
	w := doorWire{
		Proto: d.Bind.Port.Proto.String(), Address: addrText(d.Bind), Port: d.Bind.Port.Num, Device: d.Bind.Device,
		V6Only: d.Bind.V6Only == monban.On, State: d.State.String(), Class: d.Bind.Port.Class().String(),
		Assigned: v.Book.Name(d.Bind.Port), UID: d.UID, Inode: d.Inode, NetNS: d.Bind.NetNS,
		Owners: v.owners(d.Owners), Reach: v.reach(d),
	}
	if w.NetNS == "" {
		w.NetNS = v.Snapshot.Host.NetNS
	}
	if d.To.Port != 0 {
		w.To = &targetWire{Port: d.To.Port}
		if d.To.Addr.IsValid() {
			w.To.Address = d.To.Addr.String()
		}
		if c := v.Snapshot.Container(d.To.Container); c != nil {
			w.To.Container = containerName(c)
		}
	}
	return w
}

// owners returns the shapes of owners. Doors with the same holders share one
// slice of owners, and so one slice of shapes.
func (v *view) owners(owners []monban.Owner) []ownerWire {
	if len(owners) == 0 {
		return []ownerWire{}
	}
	if out, ok := v.shapes[&owners[0]]; ok && len(out) == len(owners) {
		return out
	}
	out := make([]ownerWire, 0, len(owners))
	for i := range owners {
		out = append(out, v.owner(&owners[i]))
	}
	v.shapes[&owners[0]] = out
	return out
}

func (v *view) owner(o *monban.Owner) ownerWire {
	w := ownerWire{
		PID: o.PID, Name: o.Name, Exe: o.Exe, Deleted: o.Deleted, Command: nonNil(o.Command),
		User: o.User, UID: o.UID, Unit: o.Unit, Dir: o.Dir, Project: o.Project,
		Parents: make([]parentWire, 0, len(o.Parents)),
	}
	if !o.Started.IsZero() {
		w.Started = o.Started.UTC().Format(time.RFC3339Nano)
	}
	for _, p := range o.Parents {
		w.Parents = append(w.Parents, parentWire(p))
	}
	if c := v.Snapshot.Container(o.Container); c != nil {
		w.Container = &containerWire{c.ID, c.Name, c.Image, c.Project, c.Service}
	} else if o.Container != "" {
		w.Container = &containerWire{ID: o.Container}
	}
	return w
}

// addrText is the address of b as JSON shows it; an IPv4-mapped address keeps
// its form, because that is what the socket is bound to.
func addrText(b monban.Bind) string {
	if !b.Addr.IsValid() {
		return ""
	}
	return b.Addr.String()
}

func containerName(c *monban.Container) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID[:min(12, len(c.ID))]
}
