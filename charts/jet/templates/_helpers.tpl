{{- define "jet.name" -}}
{{- printf "%s-operator" (.Release.Name | trunc 43 | trimSuffix "-") -}}
{{- end -}}

{{- define "jet.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "jet.name" .) -}}
{{- end -}}

{{- define "jet.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "jet.serviceAccount" . }}
{{- end -}}

{{- define "jet.image" -}}
{{- $repository := required "image.repository is not set: no registry has this operator's image; build it (make images REPO=registry/path) and give --set image.repository=registry/path" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ trimSuffix "/" $repository }}/jet-operator@{{ .Values.image.digest }}
{{- else -}}
{{ trimSuffix "/" $repository }}/jet-operator:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "jet.selector" -}}
app.kubernetes.io/name: jet-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "jet.labels" -}}
{{ include "jet.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "jet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "jet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the operator does in a namespace with JetClusters. */}}
{{- define "jet.rules" -}}
- apiGroups: [jet.lossless.dev]
  resources: [jetclusters, jetjobs]
  verbs: [get, list, watch, update, patch]
- apiGroups: [jet.lossless.dev]
  resources: [jetclusters/status, jetjobs/status]
  verbs: [get, update, patch]
- apiGroups: [jet.lossless.dev]
  resources: [jetclusters/finalizers, jetjobs/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, update, patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, update, patch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, update, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# No list and no watch: the operator reads only Secrets whose names it makes itself.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, update, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* A policy binds where this operator works: elsewhere it would refuse another operator's writes. */}}
{{- define "jet.watched" -}}
{{- if .Values.watchNamespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: In
          values: {{ toJson .Values.watchNamespaces }}
{{- end }}
{{- end -}}
