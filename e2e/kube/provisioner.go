package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	core "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

const (
	// directoryProvisioner makes a directory for each claim, tied to the node that the scheduler chose.
	directoryProvisioner = "local.kube/directory"
	// sharedProvisioner gives every claim the one shared directory, to read, on every node.
	sharedProvisioner = "local.kube/shared"

	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"

	retryFirst, retryLast = 50 * time.Millisecond, 10 * time.Second
)

// volumes is the dynamic provisioner: it makes the volume of a claim, and removes what it made once a
// volume with reclaim policy Delete is released. The controller manager binds and protects.
type volumes struct {
	root, shared string
	client       kubernetes.Interface
	claims       core.PersistentVolumeClaimLister
	volumes      core.PersistentVolumeLister
	classes      storagelisters.StorageClassLister
}

// provisioner ROOT SHARED KUBECONFIG serves claims from directories below ROOT, and from SHARED.
func provisioner() int {
	a := arguments(3, "provisioner ROOT SHARED KUBECONFIG")
	client := must(kubernetes.NewForConfig(must(clientcmd.BuildConfigFromFlags("", a[2]))))
	f := informers.NewSharedInformerFactory(client, time.Minute)
	claims, pvs, classes := f.Core().V1().PersistentVolumeClaims(), f.Core().V1().PersistentVolumes(), f.Storage().V1().StorageClasses()
	v := volumes{a[0], a[1], client, claims.Lister(), pvs.Lister(), classes.Lister()}

	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](retryFirst, retryLast))
	add := func(o any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(o); err == nil {
			queue.Add(key)
		}
	}
	h := cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, o any) { add(o) }}
	must(claims.Informer().AddEventHandler(h))
	must(pvs.Informer().AddEventHandler(h))
	classes.Informer()
	ctx := context.Background()
	f.Start(ctx.Done())
	f.WaitForCacheSync(ctx.Done())

	for {
		key, _ := queue.Get()
		if err := v.serve(ctx, key); err != nil {
			log.Println(key, err)
			queue.AddRateLimited(key)
		} else {
			queue.Forget(key)
		}
		queue.Done(key)
	}
}

// serve takes one key: a claim's is NAMESPACE/NAME, a volume's is NAME.
func (v volumes) serve(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return err
	}
	if namespace == "" {
		return v.reclaim(ctx, name)
	}
	return v.provision(ctx, namespace, name)
}

func (v volumes) provision(ctx context.Context, namespace, name string) error {
	c, err := v.claims.PersistentVolumeClaims(namespace).Get(name)
	if err != nil || c.Spec.VolumeName != "" || c.DeletionTimestamp != nil || c.Spec.StorageClassName == nil {
		return nil // gone, bound or leaving: nothing to make
	}
	class, err := v.classes.Get(*c.Spec.StorageClassName)
	if err != nil {
		return nil // a class made later brings the claim back with the next resync
	}
	pv := volumeFor(c, class)
	switch node := c.Annotations[selectedNode]; {
	case class.Provisioner == directoryProvisioner && node != "":
		path := filepath.Join(v.root, pv.Name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		pv.Spec.Local = &v1.LocalVolumeSource{Path: path}
		pv.Spec.NodeAffinity = onlyOn(node)
	case class.Provisioner == sharedProvisioner && readsOnly(c):
		kind := v1.HostPathDirectory
		pv.Spec.HostPath = &v1.HostPathVolumeSource{Path: v.shared, Type: &kind}
	case class.Provisioner == sharedProvisioner:
		return fmt.Errorf("class %s serves claims with accessModes [ReadOnlyMany] only, this one has %v", class.Name, c.Spec.AccessModes)
	default:
		return nil
	}
	_, err = v.client.CoreV1().PersistentVolumes().Create(ctx, pv, meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// volumeFor is the volume of a claim, without its place.
func volumeFor(c *v1.PersistentVolumeClaim, class *storage.StorageClass) *v1.PersistentVolume {
	return &v1.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: "pvc-" + string(c.UID), Annotations: map[string]string{provisionedBy: class.Provisioner}},
		Spec: v1.PersistentVolumeSpec{
			StorageClassName:              class.Name,
			PersistentVolumeReclaimPolicy: *class.ReclaimPolicy,
			AccessModes:                   c.Spec.AccessModes,
			VolumeMode:                    c.Spec.VolumeMode,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: c.Spec.Resources.Requests[v1.ResourceStorage]},
			ClaimRef: &v1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion},
		},
	}
}

func onlyOn(node string) *v1.VolumeNodeAffinity {
	return &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
		MatchExpressions: []v1.NodeSelectorRequirement{{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node}}},
	}}}}
}

func readsOnly(c *v1.PersistentVolumeClaim) bool {
	return len(c.Spec.AccessModes) == 1 && c.Spec.AccessModes[0] == v1.ReadOnlyMany
}

func (v volumes) reclaim(ctx context.Context, name string) error {
	pv, err := v.volumes.Get(name)
	if err != nil || pv.Status.Phase != v1.VolumeReleased || pv.Spec.PersistentVolumeReclaimPolicy != v1.PersistentVolumeReclaimDelete {
		return nil
	}
	switch pv.Annotations[provisionedBy] {
	case directoryProvisioner:
		if pv.Spec.Local == nil || filepath.Dir(pv.Spec.Local.Path) != v.root {
			return fmt.Errorf("volume %s does not lie below %s: left alone", name, v.root)
		}
		if err := os.RemoveAll(pv.Spec.Local.Path); err != nil {
			return err
		}
	case sharedProvisioner: // the directory is everyone's: only the object goes
	default:
		return nil
	}
	err = v.client.CoreV1().PersistentVolumes().Delete(ctx, name, meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: &pv.UID}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
