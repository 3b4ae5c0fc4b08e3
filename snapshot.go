package monban

import "time"

// Snapshot is the inside view of one machine at one moment.
type Snapshot struct {
	At         time.Time
	Host       Host
	Doors      []Door
	Containers []Container
	// Traffic is filled only for the ports that were asked for.
	Traffic []Traffic
	Gaps    []Gap
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
