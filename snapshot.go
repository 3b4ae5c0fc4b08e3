package monban

import "time"

// Snapshot is the inside view of one machine at one moment.
type Snapshot struct {
	At    time.Time
	Host  Host
	Doors []Door
	// DoorsOf are the ports whose doors were looked for; empty is all.
	DoorsOf    []PortRange `json:",omitempty"`
	Containers []Container
	// Stopped are the containers that do not run now and that their engine will
	// start by itself, with what they will publish then, where that was asked.
	Stopped []Container
	// Rules is the packet filter's ruleset; nil was not read, or could not be:
	// then a gap that hides HidesRules says so.
	Rules *Ruleset
	// Filters are what sees packets besides the rules.
	Filters []Filter
	// Traffic counts connections, but only of the ports in TrafficOf.
	Traffic   []Traffic
	TrafficOf []PortRange
	Gaps      []Gap
}

// Container returns the container with the given ID, or nil.
func (s *Snapshot) Container(id string) *Container {
	if id == "" {
		return nil
	}
	for i := range s.Containers {
		if s.Containers[i].ID == id {
			return &s.Containers[i]
		}
	}
	return nil
}
