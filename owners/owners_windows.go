package owners

import (
	"context"
	"errors"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/monban-dev/monban"
)

// systemPID is the process that stands for the kernel of Windows.
const systemPID = 4

// name asks the system about the processes that the socket table told. Every
// process can be named; paths, arguments and users of others' take administrator
// rights.
func name(ctx context.Context, doors []monban.Door, _ Options) []monban.Gap {
	t, err := newTable()
	if err != nil {
		for i := range doors {
			doors[i].Owners, doors[i].Unnamed = nil, monban.HiddenUnreadable
		}
		return []monban.Gap{{Source: "processes", Err: err.Error(), Hides: monban.HidesOwners,
			Reason: monban.HiddenUnreadable, Count: len(doors)}}
	}
	gaps := byPID(ctx, doors, t.read)
	httpRuns := httpRunning()
	for i := range doors {
		if d := &doors[i]; len(d.Owners) > 0 && d.Owners[0].PID == systemPID {
			d.Kernel = systemFeature(d.Bind.Port, httpRuns)
		}
	}
	return gaps
}

func askContainers(context.Context) func() ([]monban.Container, []monban.Gap) { return containers }

// containers states what is not done: the engines of Windows listen on named
// pipes, which cannot be told apart from those that start something.
func containers() ([]monban.Container, []monban.Gap) {
	pipe, err := windows.UTF16PtrFromString(`\\.\pipe\docker_engine`)
	if err != nil {
		return nil, nil
	}
	var found windows.Win32finddata
	h, err := windows.FindFirstFile(pipe, &found)
	if err != nil {
		return nil, nil
	}
	windows.FindClose(h) // opened by the line above; nothing to do about an error
	return nil, []monban.Gap{{Source: "docker", Err: `\\.\pipe\docker_engine is not asked`, Hides: monban.HidesContainers}}
}

// table is a picture of all processes and services.
type table struct {
	processes map[int]entry
	services  map[int]string // the service of each pid that has exactly one
}

// entry is what everybody may know of a process.
type entry struct {
	parent int
	name   string
}

func newTable() (*table, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(snapshot)
	t := &table{processes: make(map[int]entry), services: services()}
	e := windows.ProcessEntry32{}
	e.Size = uint32(unsafe.Sizeof(e))
	for err = windows.Process32First(snapshot, &e); err == nil; err = windows.Process32Next(snapshot, &e) {
		t.processes[int(e.ProcessID)] = entry{int(e.ParentProcessID), windows.UTF16ToString(e.ExeFile[:])}
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, err
	}
	return t, nil
}

func (t *table) read(pid int) known {
	e, ok := t.processes[pid]
	switch {
	case pid == 0:
		return known{hidden: monban.HiddenUnreadable}
	case pid == systemPID:
		return known{owner: monban.Owner{PID: pid, Name: "System"}}
	case !ok:
		// The process has ended, and perhaps left its handle to a child.
		return known{hidden: monban.HiddenGone}
	}
	k := known{owner: monban.Owner{PID: pid, Name: e.name, Unit: t.services[pid]}}
	o := &k.owner
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		k.partly = true
		return k
	}
	// As long as the handle is open the number is not given away.
	defer windows.CloseHandle(h)
	o.Started = created(h)
	if o.Exe = imageName(h); o.Exe != "" {
		o.Name = filepath.Base(o.Exe)
	}
	o.Command = commandLine(h)
	o.User = userName(h)
	o.Parents = t.parents(e.parent, o.Started)
	return k
}

// parents returns the ancestors. A parent's number says nothing when the parent
// has ended, since numbers are soon used again; so a parent has to prove that it
// is older than its child.
func (t *table) parents(pid int, child time.Time) []monban.Parent {
	var list []monban.Parent
	for pid != 0 && len(list) < maxParents {
		e, ok := t.processes[pid]
		if !ok {
			break
		}
		h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
		if err != nil {
			break
		}
		started := created(h)
		windows.CloseHandle(h)
		if started.IsZero() || child.IsZero() || started.After(child) {
			break
		}
		list = append(list, monban.Parent{PID: pid, Name: e.name})
		pid, child = e.parent, started
	}
	return list
}

// created returns when a process was started; zero if it is not told.
func created(process windows.Handle) time.Time {
	var creation, exit, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &creation, &exit, &kernel, &user); err != nil {
		return time.Time{}
	}
	return time.Unix(0, creation.Nanoseconds())
}

// imageName returns the path of a process's executable.
func imageName(process windows.Handle) string {
	buf := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(buf))
	if err := windows.QueryFullProcessImageName(process, 0, &buf[0], &size); err != nil || size > uint32(len(buf)) {
		return ""
	}
	return windows.UTF16ToString(buf[:size])
}

// commandLine returns the arguments of a process (Windows 8.1 and later).
func commandLine(process windows.Handle) []string {
	var need uint32
	err := windows.NtQueryInformationProcess(process, windows.ProcessCommandLineInformation, nil, 0, &need)
	const header = uint32(unsafe.Sizeof(windows.NTUnicodeString{}))
	if err == nil || need < header || need > maxCommand {
		return nil
	}
	// The structure points into the bytes behind it. It is made of words so that
	// it is aligned.
	buf := make([]uint64, (need+7)/8)
	size := uint32(len(buf) * 8)
	if err := windows.NtQueryInformationProcess(process, windows.ProcessCommandLineInformation,
		unsafe.Pointer(&buf[0]), size, &need); err != nil {
		return nil
	}
	text := (*windows.NTUnicodeString)(unsafe.Pointer(&buf[0]))
	first, at := uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(text.Buffer))
	if text.Buffer == nil || at < first || at+uintptr(text.Length) > first+uintptr(size) {
		return nil
	}
	line := text.String()
	argv, err := windows.DecomposeCommandLine(line)
	if err != nil {
		return []string{line}
	}
	return argv
}

// userName returns the account that a process runs as, without its domain.
func userName(process windows.Handle) string {
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return ""
	}
	defer token.Close()
	u, err := token.GetTokenUser()
	if err != nil {
		return ""
	}
	account, _, _, err := u.User.Sid.LookupAccount("")
	if err != nil {
		return ""
	}
	return account
}

// services asks the service manager which services run in which process. A
// process that runs several is left out: which of them has the socket is what
// the socket table may know.
func services() map[int]string {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT|windows.SC_MANAGER_ENUMERATE_SERVICE)
	if err != nil {
		return nil
	}
	defer windows.CloseServiceHandle(manager)
	var buf []byte
	for range 3 { // the list may grow between two calls
		var need, count uint32
		var first *byte
		if len(buf) > 0 {
			first = &buf[0]
		}
		err := windows.EnumServicesStatusEx(manager, windows.SC_ENUM_PROCESS_INFO, windows.SERVICE_WIN32,
			windows.SERVICE_ACTIVE, first, uint32(len(buf)), &need, &count, nil, nil)
		if errors.Is(err, windows.ERROR_MORE_DATA) {
			buf = make([]byte, len(buf)+int(need))
			continue
		}
		if err != nil || count == 0 || uintptr(count)*unsafe.Sizeof(windows.ENUM_SERVICE_STATUS_PROCESS{}) > uintptr(len(buf)) {
			return nil
		}
		list := unsafe.Slice((*windows.ENUM_SERVICE_STATUS_PROCESS)(unsafe.Pointer(first)), count)
		names := make(map[int]string, count)
		for i := range list {
			pid := int(list[i].ServiceStatusProcess.ProcessId)
			if _, several := names[pid]; several {
				names[pid] = ""
				continue
			}
			names[pid] = windows.UTF16PtrToString(list[i].ServiceName)
		}
		return names
	}
	return nil
}

// httpRunning reports whether the driver http.sys runs, which serves IIS, WinRM,
// SQL Server's reports and everything else that registers an URL.
func httpRunning() bool {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return false
	}
	defer windows.CloseServiceHandle(manager)
	service, err := windows.OpenService(manager, windows.StringToUTF16Ptr("HTTP"), windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return false
	}
	defer windows.CloseServiceHandle(service)
	var status windows.SERVICE_STATUS
	return windows.QueryServiceStatus(service, &status) == nil && status.CurrentState == windows.SERVICE_RUNNING
}

// restarts has no engine to ask: nobody has told of containers.
func restarts(context.Context, []*monban.Container) []monban.Gap { return nil }

// stopped has nothing: that engines are not asked is said with the containers.
func stopped(context.Context) ([]monban.Container, []monban.Gap) { return nil, nil }
