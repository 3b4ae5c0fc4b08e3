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
	"slices"
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
	hardware, err := pl.hardware(ctx)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	scan := monban + " scan " + silentNet + " -p 80-83 --rate 0 --i-am-authorised --json"
	for _, cores := range []string{"0", "0-1"} {
		threads := map[string]string{"0": "1", "0-1": "2"}[cores]
		programs := []struct{ name, line string }{
			{"bare loop", exe + " -blast 4s -to " + hardware},
			{"monban", scan},
			{"monban --xdp", scan + " --xdp"},
			{"masscan", "masscan " + silentNet + " -p80-83 --rate 10000000 --wait 0 -oG -"},
			{"zmap", "zmap -p 80 -i near -G " + hardware + " -b /dev/null -C /dev/null -r 10000000 -T " + threads + " -P 4 -c 1 -q --disable-syslog -o /dev/null " + silentNet},
		}
		// In turn, so that what else the machine does meets all of them.
		rounds := make(map[string][]float64)
		for range rateRounds {
			for _, p := range programs {
				pps, err := pl.rate(ctx, cores, p.line)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", p.name, err)
				}
				rounds[p.name] = append(rounds[p.name], pps)
			}
		}
		found := make(map[string]float64)
		for _, p := range programs {
			found[p.name] = median(rounds[p.name])
			fmt.Printf("rate, cores %-4s   %-12s median %.3f, from %.3f to %.3f million packets/s\n", cores, p.name,
				found[p.name]/1e6, slices.Min(rounds[p.name])/1e6, slices.Max(rounds[p.name])/1e6)
		}
		bar := map[string]float64{"0": 1.5, "0-1": 2.2}[cores]
		for _, b := range []struct {
			peer string
			bar  float64
		}{{"masscan", bar}, {"zmap", 0}, {"bare loop", 0.85}} {
			r := found["monban"] / found[b.peer]
			fmt.Printf("rate, cores %-4s   monban %.2f × %s", cores, r, b.peer)
			if b.bar > 0 {
				fmt.Printf(" (bar %.2f)", b.bar)
			}
			fmt.Println()
			if r < b.bar {
				missed = append(missed, fmt.Sprintf("rate on cores %s: %.2f × %s, bar %.2f", cores, r, b.peer, b.bar))
			}
		}
	}
	return missed, nil
}

// rateRounds is how often each program is measured.
const rateRounds = 5

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

// farLink is what ip says about the target's end of the cable.
type farLink struct {
	Address string `json:"address"`
	Stats   struct {
		RX struct {
			Packets uint64 `json:"packets"`
		} `json:"rx"`
	} `json:"stats64"`
}

func (pl *place) farLink(ctx context.Context) (l farLink, err error) {
	out, err := exec.CommandContext(ctx, "ip", "-n", pl.far, "-s", "-j", "link", "show", "far").Output()
	if err != nil {
		return l, err
	}
	var links []farLink
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		return l, errors.Join(err, errors.New("ip -s link: not one link"))
	}
	return links[0], nil
}

func (pl *place) arrived(ctx context.Context) (uint64, error) {
	l, err := pl.farLink(ctx)
	return l.Stats.RX.Packets, err
}

func (pl *place) hardware(ctx context.Context) (string, error) {
	l, err := pl.farLink(ctx)
	return l.Address, err
}

// bare sends the same packet again and again, as fast as sendmmsg can: whole
// frames, with nothing for the kernel to look up.
func bare(to string, d time.Duration) error {
	device, err := net.InterfaceByName("near")
	if err != nil {
		return err
	}
	hardware, err := net.ParseMAC(to)
	if err != nil {
		return err
	}
	failed := make(chan error)
	threads := runtime.GOMAXPROCS(0)
	for range threads {
		go func() { failed <- blast(device, hardware, d) }()
	}
	for range threads {
		err = errors.Join(err, <-failed)
	}
	return err
}

func blast(device *net.Interface, to net.HardwareAddr, d time.Duration) error {
	runtime.LockOSThread()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: device.Index}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	b := append(append(append([]byte(nil), to...), device.HardwareAddr...), 8, 0) // ETH_P_IP
	packet := make([]byte, 60)
	packet[0], packet[3], packet[8], packet[9], packet[16], packet[17] = 0x45, 60, 64, 6, 10, 33
	b = append(b, packet...)
	var vector unix.Iovec
	vector.Base = &b[0]
	vector.SetLen(len(b))
	var headers [many]mmsg
	for i := range headers {
		headers[i].header.Iov = &vector
		headers[i].header.SetIovlen(1)
	}
	for began := time.Now(); time.Since(began) < d; {
		if _, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&headers[0])), many, 0, 0, 0); errno != 0 && errno != unix.ENOBUFS {
			return os.NewSyscallError("sendmmsg", errno)
		}
	}
	return nil
}
