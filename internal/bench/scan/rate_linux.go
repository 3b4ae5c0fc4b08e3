package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sending rate into a network of two million addresses behind a target that
// is silent, counted where the packets arrive.
const silentNet = "10.32.0.0/11"

func rates(ctx context.Context, monban string) (missed []string, err error) {
	pl, err := build(ctx, path{})
	if err != nil {
		return nil, err
	}
	defer pl.close()
	// Dropped before the stack sees them: nothing comes back.
	if err := pl.nft(ctx, pl.far, "table netdev t {\nchain in { type filter hook ingress device \"far\" priority 0; ip daddr "+silentNet+" drop; }\n}\n"); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, "ip", "-n", pl.near, "route", "add", silentNet, "via", target).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ip route: %w\n%s", err, out)
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, cores := range []string{"0", "0-1"} {
		found := make(map[string]float64)
		for _, p := range []struct{ name, line string }{
			{"bare loop", exe + " -blast 4s"},
			{"monban", monban + " scan " + silentNet + " -p 80 --rate 0 --i-am-authorised --json"},
			{"masscan", "masscan " + silentNet + " -p80 --rate 10000000 --wait 0 -oG -"},
		} {
			pps, err := pl.rate(ctx, cores, p.line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			found[p.name] = pps
			fmt.Printf("rate, cores %-4s   %-9s %.3f million packets/s\n", cores, p.name, pps/1e6)
		}
		bar := map[string]float64{"0": 1.5, "0-1": 2.2}[cores]
		if r := found["monban"] / found["masscan"]; r < bar {
			missed = append(missed, fmt.Sprintf("rate on cores %s: %.2f times masscan, bar %.1f", cores, r, bar))
		}
		if r := found["monban"] / found["bare loop"]; r < 0.85 {
			missed = append(missed, fmt.Sprintf("rate on cores %s: %.2f of a bare loop, bar 0.85", cores, r))
		}
	}
	return missed, nil
}

// rate runs a program for three seconds and counts what arrives from the second
// one on.
func (pl *place) rate(ctx context.Context, cores, line string) (float64, error) {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", pl.near, "taskset", "-c", cores}, strings.Fields(line)...)...)
	cmd.Dir = os.TempDir()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	time.Sleep(time.Second)
	before, err := pl.arrived(ctx)
	began := time.Now()
	if err != nil {
		return 0, err
	}
	time.Sleep(1500 * time.Millisecond)
	after, err := pl.arrived(ctx)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	_ = cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	_ = cmd.Wait()
	return float64(after-before) / took.Seconds(), nil
}

func (pl *place) arrived(ctx context.Context) (uint64, error) {
	out, err := exec.CommandContext(ctx, "ip", "-n", pl.far, "-s", "-j", "link", "show", "far").Output()
	if err != nil {
		return 0, err
	}
	var links []struct {
		Stats struct {
			RX struct {
				Packets uint64 `json:"packets"`
			} `json:"rx"`
		} `json:"stats64"`
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		return 0, errors.Join(err, errors.New("ip -s link: not one link"))
	}
	return links[0].Stats.RX.Packets, nil
}

// bare sends the same packets again and again, as fast as sendmmsg can.
func bare(d time.Duration) error {
	device, err := net.InterfaceByName("near")
	if err != nil {
		return err
	}
	failed := make(chan error)
	threads := runtime.GOMAXPROCS(0)
	for range threads {
		go func() { failed <- blast(device.Index, d) }()
	}
	for range threads {
		err = errors.Join(err, <-failed)
	}
	return err
}

func blast(device int, d time.Duration) error {
	runtime.LockOSThread()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	var name [20]byte
	*(*uint16)(unsafe.Pointer(&name[0])) = unix.AF_PACKET
	name[2] = 8 // ETH_P_IP
	*(*uint32)(unsafe.Pointer(&name[4])) = uint32(device)
	name[11] = 6
	for i := range 6 {
		name[12+i] = 0xff
	}
	b := make([]byte, 60)
	b[0], b[3], b[8], b[9], b[16], b[17] = 0x45, 60, 64, 6, 10, 33
	var vector unix.Iovec
	vector.Base = &b[0]
	vector.SetLen(len(b))
	var headers [many]mmsg
	for i := range headers {
		headers[i].header.Iov, headers[i].header.Name, headers[i].header.Namelen = &vector, &name[0], uint32(len(name))
		headers[i].header.SetIovlen(1)
	}
	for began := time.Now(); time.Since(began) < d; {
		if _, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&headers[0])), many, 0, 0, 0); errno != 0 && errno != unix.ENOBUFS {
			return os.NewSyscallError("sendmmsg", errno)
		}
	}
	return nil
}
