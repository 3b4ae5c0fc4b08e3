package host

func (f files) network(v *view) {}
